"""Django's pool of psycopg connections: its dead connections, its statements, and what stays lent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.test import Client
from pytest_django import Settings

from accounts.db import discard_connection, retry_on_dead_connection
from accounts.models import User
from accounts.signals import sync_failed
from accounts.sync import sync_user
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from health.receivers import write_pending_failures
from tests.accounts.profiles import profile
from tests.webhooks.deliveries import SECRET, deliver, envelope, user_data
from tests.webhooks.trouble import address

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.own_session]
SIZE = 4


@pytest.fixture(autouse=True)
def pool(transactional_db: None) -> Iterator[Any]:
    """Connect this thread through a pool that is full, and return the pool."""
    original: Any = connections[DEFAULT_DB_ALIAS]
    original.close()
    pooled = original.copy()
    pooled.settings_dict["OPTIONS"]["pool"] = {"min_size": SIZE, "timeout": 5}
    pooled.settings_dict["CONN_MAX_AGE"] = 0
    connections[DEFAULT_DB_ALIAS] = pooled
    try:
        pooled.pool.open(wait=True)
        yield pooled.pool
    finally:
        pooled.close()
        pooled.close_pool()
        connections[DEFAULT_DB_ALIAS] = original


def end_sessions() -> None:
    """Return this thread's connection, and end all sessions of the full pool at the server."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.close()
    connection.pool.wait(timeout=10)
    with psycopg.connect(address(), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' "
            "AND pid <> pg_backend_pid()"
        )


def backend() -> int:
    """Return the process at the server that this thread's connection leads to."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def count_in_transaction() -> int:
    with transaction.atomic():
        return User.objects.count()


@pytest.mark.parametrize("work", [User.objects.count, count_in_transaction], ids=["statement", "transaction"])
def test_one_retry_suffices_when_all_connections_are_dead(work: Callable[[], int]) -> None:
    runs = []

    def count() -> int:
        runs.append("started")
        return work()

    end_sessions()
    assert retry_on_dead_connection(count) == 0
    assert len(runs) == 2
    for _ in range(SIZE):
        connections[DEFAULT_DB_ALIAS].close()
        assert retry_on_dead_connection(count) == 0
    assert len(runs) == 2 + SIZE


def test_a_transaction_of_the_caller_is_not_repeated() -> None:
    runs = []

    def count() -> int:
        runs.append("started")
        return User.objects.count()

    def count_in_it() -> None:
        with transaction.atomic():
            retry_on_dead_connection(count)

    end_sessions()
    with pytest.raises(OperationalError):
        count_in_it()
    assert runs == ["started"]


def test_requests_and_webhooks_meet_no_dead_connection(
    clerk: LocalClerk, clerk_settings: Settings, failures: list[dict[str, Any]]
) -> None:
    clerk_settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    client = Client(headers={"Authorization": f"Bearer {clerk.mint('ada')}"})
    assert client.get("/api/v1/me").status_code == 200
    end_sessions()
    assert client.get("/api/v1/me").status_code == 200
    end_sessions()
    assert deliver(envelope("user.created", user_data())).status_code == 200
    assert failures == []


def test_work_that_started_before_a_drain_causes_no_second_one() -> None:
    connection = connections[DEFAULT_DB_ALIAS]
    started_at, first = time.monotonic(), backend()
    discard_connection(connection, started_at=started_at)
    backends = set()
    for _ in range(2 * SIZE):
        backends.add(backend())
        discard_connection(connection, started_at=started_at)
    assert first not in backends
    assert len(backends) <= SIZE
    discard_connection(connection, started_at=time.monotonic())
    assert backend() not in backends


def test_a_warm_request_is_one_statement_at_the_server(
    clerk: LocalClerk, clerk_settings: Settings, pool: Any, tmp_path: Path
) -> None:
    client = Client(headers={"Authorization": f"Bearer {clerk.mint('ada')}"})
    assert client.get("/api/v1/me").status_code == 200
    connections[DEFAULT_DB_ALIAS].close()
    lent = [pool.getconn() for _ in range(SIZE)]
    with (tmp_path / "trace").open("wb") as trace:
        for each in lent:
            each.pgconn.trace(trace.fileno())
            pool.putconn(each)
        assert client.get("/api/v1/me").status_code == 200
        connections[DEFAULT_DB_ALIAS].close()
        for each in lent:
            each.pgconn.untrace()
    sent = [line.split("\t")[3] for line in (tmp_path / "trace").read_text().splitlines() if "\tF\t" in line]
    assert sent == ["Query"]


def test_failures_written_after_a_response_keep_no_connection_of_the_pool(pool: Any) -> None:
    connection = connections[DEFAULT_DB_ALIAS]
    sync_user(profile(first_name="Ada"))
    with transaction.atomic():  # the failure is recorded, but not written yet
        sync_failed.send_robust(User, clerk_id="user_ada", source="request", reason="unusable_field:email")
        transaction.set_rollback(True)
    connection.close()

    write_pending_failures(None)

    assert connection.connection is None
    assert pool.get_stats()["pool_available"] == SIZE
    assert SyncFailure.objects.get().reason == "unusable_field:email"
