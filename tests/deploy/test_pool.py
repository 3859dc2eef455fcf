"""The product with Django's pool of connections: as many as threads, dead after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from accounts.db import lock_key
from tests.deploy.conftest import Serve, Site, wait_until
from tests.postgres import ThrowawayPostgres

pytestmark = pytest.mark.postgresql
SignIn = Callable[[str], dict[str, str]]
ME = "/api/v1/me"


@pytest.fixture
def site(serve: Serve, postgres_server: ThrowawayPostgres) -> Site:
    """Serve with the pool, in one process."""
    return serve(f"{postgres_server.url}?pool=true", WEB_CONCURRENCY="1")


def ask(site: Site, headers: list[dict[str, str]]) -> list[int]:
    """Send the requests at the same time, and return their statuses."""
    with ThreadPoolExecutor(len(headers)) as threads:
        return list(threads.map(lambda each: site.status(ME, headers=each), headers))


def lock_waiters(server: ThrowawayPostgres) -> int:
    """Return how many sessions wait for a lock of a user."""
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(row.fetchall()[0][0])


def test_a_warm_request_does_not_wait_for_first_requests(
    site: Site, postgres_server: ThrowawayPostgres, sign_in: SignIn
) -> None:
    assert site.status(ME, headers=sign_in("user_warm")) == 200
    users = [f"user_{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as threads, psycopg.connect(postgres_server.url) as blocker:
        for user in users:
            blocker.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(user)])
        answers = [threads.submit(site.status, ME, headers=sign_in(user)) for user in users]
        wait_until(lambda: lock_waiters(postgres_server) >= 4)

        begin = time.monotonic()
        assert site.status(ME, headers=sign_in("user_warm")) == 200
        assert time.monotonic() - begin < 1
        wait_until(lambda: lock_waiters(postgres_server) == 6, seconds=2)
        blocker.rollback()
        assert [answer.result() for answer in answers] == [200] * 6


def test_a_restart_of_the_server_costs_no_request(
    site: Site, postgres_server: ThrowawayPostgres, sign_in: SignIn
) -> None:
    warm = [sign_in(f"user_{number}") for number in range(8)]
    assert ask(site, warm) == [200] * 8

    for crash in (False, True):
        postgres_server.restart(crash=crash)
        assert site.status(ME, headers=sign_in(f"user_first{crash}")) == 200
        assert ask(site, warm) == [200] * 8
    postgres_server.restart()
    assert ask(site, warm) == [200] * 8


def test_the_pool_connects_again_soon_after_a_long_outage(
    site: Site, postgres_server: ThrowawayPostgres, sign_in: SignIn
) -> None:
    headers = [sign_in(f"user_{number}") for number in range(8)]
    assert ask(site, headers) == [200] * 8
    postgres_server.stop()
    end = time.monotonic() + 12  # psycopg's pause between two attempts would be 8 seconds by then
    while time.monotonic() < end:
        assert ask(site, headers) == [503] * 8

    postgres_server.start()

    begin = time.monotonic()
    assert ask(site, headers) == [200] * 8
    assert time.monotonic() - begin < 4
    # Its lines would hold the database's error text.
    assert "psycopg.pool" not in site.log.read_text()
