"""`config.wsgi:application` under a real gunicorn."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.config.test_settings import PRODUCTION, PROJECT, run
from tests.ports import free_port


def gunicorn(variables: dict[str, str], *, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run gunicorn on a free port until it exits."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--no-control-socket",
            "-b",
            "127.0.0.1:0",
            # One worker: gunicorn prints a traceback of its own when two exit at the same moment.
            "--workers=1",
            "config.wsgi",
        ],
        cwd=PROJECT,
        env=variables,
        timeout=seconds,
        check=False,
        capture_output=True,
        text=True,
    )


def test_malformed_settings_end_the_server_and_are_all_named(tmp_path: Path) -> None:
    malformed = {"DJANGO_HTTPS": "perhaps", "CLERK_AUTHORIZED_PARTIES": "", "HOME": str(tmp_path)}

    done = gunicorn(PRODUCTION | malformed, seconds=60)

    assert done.returncode not in {0, None}
    assert "DJANGO_HTTPS must be true or false." in done.stderr
    assert "CLERK_AUTHORIZED_PARTIES is set and empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_secret_key_is_reported_in_a_server_process_alone() -> None:
    variables = PRODUCTION | {"CLERK_SECRET_KEY": "sk_live_canary"}
    server = run("-c", "import config.wsgi", variables=variables)
    without = run("-c", "import config.wsgi", variables=variables | {"DJANGO_ADMIN": "false"})
    command = run("manage.py", "check", variables=variables)
    assert (server.returncode, without.returncode, command.returncode) == (0, 0, 0)
    assert "(config.I001)" in server.stderr
    assert "in the admin" in server.stderr
    assert "in the admin" not in without.stderr
    assert "config.I001" not in command.stderr
    assert "canary" not in server.stderr
    assert "config.I001" not in run("-c", "import config.wsgi", variables=PRODUCTION).stderr


def test_a_request_with_an_unreadable_header_reaches_the_application(tmp_path: Path) -> None:
    port = free_port()
    variables = PRODUCTION | {
        "ALLOW_SQLITE": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_HTTPS": "false",
    }
    command = ["gunicorn", "--no-control-socket", "-b", f"127.0.0.1:{port}", "config.wsgi"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen([sys.executable, "-m", *command], cwd=PROJECT, env=variables, stderr=file)
    try:
        response = get_when_ready(
            f"http://127.0.0.1:{port}/api/nothing?search=canary",
            headers={"Content-Type": "text/plain; x*=bogus''%41"},
        )
    finally:
        server.terminate()
        server.wait(timeout=30)

    assert response.status_code == 404
    assert response.json()["errors"][0]["code"] == "not_found"
    assert "X-Request-ID" in response.headers
    assert "canary" not in log.read_text()


def get_when_ready(address: str, *, headers: dict[str, str] | None = None) -> requests.Response:
    """Send the request again until the server listens."""
    give_up_at = time.monotonic() + 30
    while True:
        try:
            return requests.get(address, headers=headers, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
