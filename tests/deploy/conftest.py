"""The product as in the image, served by gunicorn with the configuration of the image."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests import waiting
from tests.config.test_settings import PRODUCTION
from tests.deploy.context import unpack
from tests.ports import free_port

ISSUER = "https://clerk.example.com"
AUTHORIZED_PARTY = "https://app.example.com"
Serve = Callable[..., "Site"]
wait_until = partial(waiting.wait_until, seconds=30)


class Site(NamedTuple):
    """A running server: its process, its address, HEALTH_PORT and its log file."""

    process: subprocess.Popen[bytes]
    address: str
    health_port: int
    log: Path

    def status(self, path: str, *, headers: dict[str, str] | None = None, timeout: float = 30) -> int:
        """Return the status of the answer, or 0 without an answer."""
        try:
            return requests.get(f"{self.address}{path}", headers=headers, timeout=timeout).status_code
        except (requests.ConnectionError, requests.Timeout):
            return 0


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the contents of /app in the image."""
    folder = tmp_path_factory.mktemp("app")
    unpack(folder)
    run_in(folder, "manage.py", "collectstatic", "--no-input", "-v0")
    return folder


def run_in(folder: Path, *command: str, **variables: str) -> None:
    """Run Python in the folder, in an environment of `variables` alone."""
    subprocess.run([sys.executable, *command], cwd=folder, env=variables, check=True)


@pytest.fixture(scope="session")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def sign_in(private_key: rsa.RSAPrivateKey) -> Callable[[str], dict[str, str]]:
    """Return a function that returns the header of a user with a new token."""

    def headers(user_id: str) -> dict[str, str]:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "azp": AUTHORIZED_PARTY,
            "sub": user_id,
            "sid": "sess_1",
            "iat": now,
            "exp": now + 60,
        }
        return {"Authorization": f"Bearer {jwt.encode(claims, private_key, algorithm='RS256')}"}

    return headers


@pytest.fixture
def serve(app: Path, private_key: rsa.RSAPrivateKey, tmp_path: Path) -> Iterator[Serve]:
    """Return a function that migrates a database and serves the product on it, with further `variables`."""
    pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    sites = []

    def start(database: str, **more: str) -> Site:
        port, health_port = free_port(), free_port()
        variables = PRODUCTION | {
            "DATABASE_URL": database,
            "CLERK_JWT_KEY": pem.decode(),
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "DJANGO_HTTPS": "false",
            "HEALTH_PORT": str(health_port),
            "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "series"),
            **more,
        }
        run_in(app, "manage.py", "migrate", "-v0", **variables)
        address = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "gunicorn", "--bind", address, "config.wsgi"]
        log = tmp_path / "gunicorn.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=app, env=variables, stderr=file)
        sites.append(Site(process, f"http://{address}", health_port, log))
        wait_until(lambda: sites[-1].status("/health/ready") == 200)
        return sites[-1]

    yield start
    for site in sites:
        site.process.terminate()
        site.process.wait(timeout=30)
