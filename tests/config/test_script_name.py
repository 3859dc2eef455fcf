"""The site below a path: `SCRIPT_NAME` under a real gunicorn."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.config.test_settings import PRODUCTION, PROJECT, run
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return PRODUCTION | {
        "ALLOW_SQLITE": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_HTTPS": "false",
        "SCRIPT_NAME": "/users",
    }


def test_links_and_styles_are_below_the_path(tmp_path: Path, variables: dict[str, str]) -> None:
    port = free_port()
    command = ["gunicorn", "--no-control-socket", "-b", f"127.0.0.1:{port}", "config.wsgi"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", *command], cwd=PROJECT, env=variables, stdout=log, stderr=log
        ) as server,
    ):
        try:
            site = f"http://127.0.0.1:{port}"

            def is_open() -> bool:
                with suppress(requests.RequestException):
                    return requests.get(f"{site}/users/health/live", timeout=10).ok
                return False

            wait_until(is_open, seconds=60)
            page = requests.get(f"{site}/users/admin/login/", timeout=10)
            assert page.status_code == 200
            styles = re.findall(r'href="([^"]+\.css)"', page.text)
            assert styles
            assert all(style.startswith("/users/static/") for style in styles)
            assert requests.get(site + styles[0], timeout=10).headers["Content-Type"].startswith("text/css")
            moved = requests.get(f"{site}/users/admin/", timeout=10, allow_redirects=False)
            assert moved.headers["Location"] == "/users/admin/login/?next=/users/admin/"
            assert requests.get(f"{site}/users/api/v1/me", timeout=10).status_code == 401
        finally:
            server.terminate()


def test_malformed_path_is_named(variables: dict[str, str]) -> None:
    done = run("manage.py", "check", variables=variables | {"SCRIPT_NAME": "users/"})
    assert done.returncode == 1
    assert "SCRIPT_NAME must be a path such as /users" in done.stderr
