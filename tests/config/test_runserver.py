"""Django's own server in debug, as `make run` starts it: static files, request ids and CORS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.config.test_settings import PROJECT
from tests.config.test_wsgi import get_when_ready
from tests.ports import free_port

FILES = (
    "admin/css/base.css",
    "clerk_sync/admin.css",
    "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve the product in debug and yield its address."""
    address = f"127.0.0.1:{free_port()}"
    server = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", address, "--noreload"],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "CLERK_ISSUER": "http://127.0.0.1:9",
            "CLERK_JWKS_URL": "http://127.0.0.1:9/jwks",
            "CORS_ALLOWED_ORIGINS": "chrome-extension://abc,https://app.example.test",
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


def allowed_origin(site: str, origin: str) -> str | None:
    """Send the preflight of a browser. Return the origin that the answer allows."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return requests.options(f"{site}/api/v1/me", headers=headers, timeout=10).headers.get(
        "Access-Control-Allow-Origin"
    )


def test_loopback_origins_are_allowed_beside_the_configured_ones(site: str) -> None:
    for origin in (
        *("http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:4321", "https://localhost"),
        *("chrome-extension://abc", "https://app.example.test"),
    ):
        assert allowed_origin(site, origin) == origin
    for origin in ("http://localhost.evil.example", "chrome-extension://other", "null"):
        assert allowed_origin(site, origin) is None
