"""The product behind a real PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.deploy.conftest import Serve, wait_until
from tests.pgbouncer import ThrowawayPgBouncer, find_pgbouncer
from tests.postgres import ThrowawayPostgres

pytestmark = pytest.mark.postgresql


@pytest.fixture
def pooler(postgres_server: ThrowawayPostgres) -> Iterator[ThrowawayPgBouncer]:
    """Start a PgBouncer in front of the server that can be stopped."""
    program = find_pgbouncer()
    if program is None:
        pytest.skip("pgbouncer is not installed")
    pooler = ThrowawayPgBouncer(postgres_server, program=program)
    yield pooler
    pooler.remove()


def test_transactions_use_different_connections(pooler: ThrowawayPgBouncer) -> None:
    address = pooler.url.partition("&disable")[0]
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:

        def backend() -> int:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row
            return int(row[0])

        # PgBouncer opens connections in the background.
        wait_until(lambda: len({backend() for _ in range(8)}) > 1)
        with connection.transaction():
            assert len({backend() for _ in range(8)}) == 1


def test_an_outage_behind_it_is_503_until_the_database_is_back(
    serve: Serve,
    postgres_server: ThrowawayPostgres,
    pooler: ThrowawayPgBouncer,
    sign_in: Callable[[str], dict[str, str]],
) -> None:
    site = serve(pooler.url)
    assert site.status("/api/v1/me", headers=sign_in("user_a")) == 200

    postgres_server.stop()
    assert site.status("/api/v1/me", headers=sign_in("user_a")) == 503
    wait_until(lambda: site.status("/health/ready") == 503)  # an answer of the database is valid for a second
    assert site.status("/health/live") == 200

    postgres_server.start()
    wait_until(lambda: site.status("/health/ready") == 200)
    # The breaker admits one trial per second; the first success closes it.
    wait_until(lambda: site.status("/api/v1/me", headers=sign_in("user_a")) == 200)
    assert site.status("/api/v1/me", headers=sign_in("user_b")) == 200
