# ruff: noqa: INP001, PLR2004, S101, T201 - a script for the standard input of a container
"""Test a new image from inside a container: `docker run --rm -i IMAGE python - <deploy/smoke.py`.

It starts the command of the image, with its own settings and an SQLite file in memory.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path

SETTINGS = {
    "DATABASE_URL": "sqlite:////dev/shm/smoke.sqlite3",
    "ALLOW_SQLITE": "true",
    "DJANGO_SECRET_KEY": "a secret of this test alone",
    "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
    "DJANGO_HTTPS": "false",
    "CLERK_ISSUER": "https://clerk.example.test",
    "CLERK_JWKS_URL": "https://clerk.example.test/.well-known/jwks.json",
    "CLERK_AUTHORIZED_PARTIES": "https://app.example.test",
}
ABSENT = ("devclerk", "tests", "benchmarks", "pytest", "pip")


def main() -> None:
    """Run all checks. Raise `AssertionError` with a sentence at the first failure."""
    check_contents()
    assert os.environ.get("HEALTH_PORT") == "8081", "The image does not set HEALTH_PORT."
    environment = os.environ | SETTINGS
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{one.getsockname()[1]}"
        health_port = str(other.getsockname()[1])
    environment["HEALTH_PORT"] = health_port
    command = ["gunicorn", "--bind", address, "config.wsgi"]
    with subprocess.Popen(command, env=environment) as server:  # noqa: S603 - a command of our own
        try:
            check_answers(f"http://{address}", probes=f"http://127.0.0.1:{health_port}")
        finally:
            server.send_signal(signal.SIGTERM)
            ended = server.wait(timeout=30)
    assert ended == 0, "The server did not exit with status 0 after SIGTERM."
    print("The image passed its checks.")


def check_contents() -> None:
    """Check the contents of the image and the rights of its account."""
    assert os.getuid() != 0, "The image runs as root."
    for name in ABSENT:
        assert find_spec(name) is None, f"The image holds {name}."
    for path in (Path("/app"), *Path("/app").rglob("*")):
        assert not os.access(path, os.W_OK), f"The account of the image may write to {path}."
        if path.suffix == ".py":
            compiled = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            assert compiled.exists(), f"{path} is not compiled."
    assert Path("staticfiles/admin/css/base.css.gz").exists(), "The static files are not collected."


def check_answers(site: str, *, probes: str) -> None:
    """Check the answers of the running server."""
    deadline = time.monotonic() + 30
    while not (alive := status(f"{site}/health/live")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive == 200, "/health/live does not answer 200."
    assert status(f"{probes}/health/live") == 200, "/health/live does not answer 200 on HEALTH_PORT."
    assert status(f"{site}/static/admin/css/base.css") == 200, "The static files are not served."
    assert status(f"{site}/api/v1/me") == 401, "/api/v1/me does not ask for a token."
    assert status(f"{site}/health/ready") == 503, "/health/ready is not 503 without a verification key."


def status(address: str) -> int:
    """Return the status of the answer, or 0 without an answer."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


main()
