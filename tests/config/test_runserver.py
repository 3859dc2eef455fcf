"""Django's own server in debug, as `make run` starts it, serves static files with request ids."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.config.test_settings import PROJECT
from tests.config.test_wsgi import get_when_ready

FILES = (
    "admin/css/base.css",
    "accounts/admin.css",
    "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve the product in debug and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", address, "--noreload"],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "CLERK_ISSUER": "http://127.0.0.1:9",
            "CLERK_JWKS_URL": "http://127.0.0.1:9/jwks",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        get_when_ready(f"http://{address}/health/live")
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_every_static_file_is_served_with_a_request_id(site: str) -> None:
    for name in FILES:
        response = requests.get(f"{site}/static/{name}", timeout=10)

        assert response.status_code == 200
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])
    assert requests.get(f"{site}/static/nothing.css", timeout=10).headers["X-Request-ID"]
