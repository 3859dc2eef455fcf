"""The whole project under gunicorn, while its database is stopped and started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import psycopg
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from prometheus_client.parser import text_string_to_metric_families

from tests.ports import free_port
from tests.postgres import ThrowawayPostgres
from tests.waiting import wait_until

pytestmark = pytest.mark.postgresql
MONITORING = {"Authorization": "Bearer monitoring"}
WORKERS = 2


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def sign_in(private_key: rsa.RSAPrivateKey) -> Callable[[str], dict[str, str]]:
    """Return a function that builds the header of a user, with a new token."""

    def headers(user_id: str) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": os.environ["CLERK_ISSUER"],
            "azp": os.environ["CLERK_AUTHORIZED_PARTIES"],
            "sub": user_id,
            "sid": "sess_1",
            "iat": now,
            "nbf": now - 10,
            "exp": now + 60,
        }
        return {"Authorization": f"Bearer {jwt.encode(claims, private_key, algorithm='RS256')}"}

    return headers


@pytest.fixture
def site(postgres_server: ThrowawayPostgres, private_key: rsa.RSAPrivateKey, tmp_path: Any) -> Iterator[str]:
    """Serve the project on a database that the test can stop; yield its address."""
    pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    environment = {
        **os.environ,
        "DATABASE_URL": postgres_server.url,
        "CLERK_JWT_KEY": pem.decode(),
        "HEALTH_TOKEN": "monitoring",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "series"),
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], env=environment, check=True)
    port = free_port()
    command = [
        "gunicorn",
        "config.wsgi",
        "-b",
        f"127.0.0.1:{port}",
        f"--workers={WORKERS}",
        "--no-control-socket",
    ]
    server = subprocess.Popen([sys.executable, "-m", *command], env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: status(f"{address}/health/ready") == 200, seconds=20)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def status(address: str, headers: dict[str, str] | None = None) -> int:
    try:
        return requests.get(address, headers=headers, timeout=5).status_code
    except (requests.ConnectionError, requests.Timeout):  # a worker that still starts
        return 0


def ready(site: str) -> Any:
    return requests.get(f"{site}/health/ready", timeout=5).json()


def report(site: str) -> Any:
    return requests.get(f"{site}/health/sync", headers=MONITORING, timeout=5).json()


def recorded(server: ThrowawayPostgres) -> int:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT count(*) FROM health_syncfailure").fetchone()
    return int(row[0]) if row else 0


def series(site: str) -> dict[str, float]:
    text = requests.get(f"{site}/metrics", headers=MONITORING, timeout=5).text
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
    }


def test_outage_is_reported_while_it_lasts_and_afterwards(
    site: str, postgres_server: ThrowawayPostgres, sign_in: Callable[[str], dict[str, str]]
) -> None:
    me = f"{site}/api/v1/me"
    assert status(me, sign_in("user_a")) == 200
    assert report(site)["failures"]["open"] == 0

    postgres_server.stop()
    assert status(f"{site}/health/live") == 200
    unavailable = {"status": "database_unavailable"}
    # The last good answer of the database is valid for a second, in each worker.
    wait_until(lambda: all(ready(site) == unavailable for _ in range(4 * WORKERS)), seconds=3)
    assert {status(me, sign_in(f"user_{number}")) for number in range(20)} == {503}
    seen = report(site)
    assert (seen["status"], seen["reasons"][0]["code"]) == ("degraded", "database_unavailable")

    postgres_server.start()
    wait_until(lambda: status(f"{site}/health/ready") == 200, seconds=20)
    # A worker writes its pending failures after the next responses, without a request for the report.
    wait_until(lambda: status(me, sign_in("user_a")) == 200 and recorded(postgres_server) == 1, seconds=20)
    assert report(site)["failures"]["by_reason"]["database_error"] == 1
    assert status(me, sign_in("user_a")) == 200
    assert series(site)["clerk_authentications_total['ok']"] >= 2


def test_series_of_all_workers_add_up(site: str, sign_in: Callable[[str], dict[str, str]]) -> None:
    for _ in range(30):
        assert status(f"{site}/api/v1/me", sign_in("user_a")) == 200
    assert status(f"{site}/api/v1/me", {"Authorization": "Bearer nonsense"}) == 401
    found = series(site)
    assert found["clerk_authentications_total['ok']"] == 30
    assert found["clerk_authentications_total['token_malformed']"] == 1
