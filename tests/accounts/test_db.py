"""The write database: reloads, retries, the drain of a pool, and the codes of failures."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext, suppress
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, router, transaction
from django.http import HttpRequest, HttpResponse

from accounts import db
from accounts.db import (
    LOCK_NOT_AVAILABLE,
    READ_ONLY_TRANSACTION,
    UserNotCreated,
    after_commit,
    discard_connection,
    failure_reason,
    lock_key,
    locking_query,
    outside_atomic_requests,
    restart_deadline,
    retry_on_dead_connection,
    start_deadline,
    write_connection,
)
from accounts.deadline import DEADLINE_SECONDS, Breaker, current_deadline, database_deadline
from accounts.models import User
from tests.clock import Clock
from tests.factories import UserFactory


class Cause(Exception):
    """An error of a database driver."""

    def __init__(self, **codes: str) -> None:
        super().__init__()
        for name, code in codes.items():
            setattr(self, name, code)


def failure(**codes: str) -> OperationalError:
    """Return an error as Django raises it for an error of its driver."""
    error = OperationalError()
    error.__cause__ = Cause(**codes)
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserNotCreated(), "create_user_failed"),
        (failure(sqlstate=LOCK_NOT_AVAILABLE), "lock_timeout"),
        (failure(pgcode=LOCK_NOT_AVAILABLE), "lock_timeout"),  # psycopg2
        (failure(sqlstate="XX000"), "database_error"),
        (DatabaseError(), "database_error"),
    ],
)
def test_failure_has_a_code(error: DatabaseError, reason: str) -> None:
    assert failure_reason(error) == reason


def test_view_is_outside_atomic_requests_on_each_database() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    exempt: Any = outside_atomic_requests(view)
    assert exempt(HttpRequest()).status_code == 200
    assert exempt._non_atomic_requests == set(connections)


@pytest.mark.django_db
def test_reload_takes_the_rows_that_the_caller_names() -> None:
    user = UserFactory.create()
    with pytest.raises(User.DoesNotExist):
        user.refresh_from_db(from_queryset=User.objects.none())


@pytest.mark.django_db
def test_reload_asks_the_router_about_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Router:
        def db_for_write(self, model: type[object], **hints: object) -> str:
            asked.append(hints.get("instance"))
            return "default"

    user = UserFactory.create()
    monkeypatch.setattr(router, "routers", [Router()])
    user.refresh_from_db()
    assert asked[0] is user


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("code", ["sqlstate", "pgcode"])
def test_work_on_a_server_that_became_read_only_runs_once_more(code: str) -> None:
    outcomes: list[object] = [failure(**{code: READ_ONLY_TRANSACTION}), "done"]
    held = []

    def work() -> object:
        write_connection().ensure_connection()
        held.append(write_connection().connection)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert retry_on_dead_connection(work) == "done"
    assert held[0] is not held[1]


@pytest.mark.django_db(transaction=True)
def test_other_failures_are_raised_at_once() -> None:
    runs = []

    def work() -> None:
        runs.append(1)
        raise failure(sqlstate="XX000")

    with pytest.raises(OperationalError):
        retry_on_dead_connection(work)
    assert len(runs) == 1


class Pool:
    """A pool that counts its drains."""

    drains = 0

    def drain(self) -> None:
        self.drains += 1


class Pooled:
    """A connection of a pool, or of none."""

    def __init__(self, pool: Pool | None) -> None:
        self.pool, self.closed = pool, 0

    def close(self) -> None:
        self.closed += 1


def discard(connection: Any, *, started_at: float) -> None:
    discard_connection(connection, started_at=started_at)


def test_pool_is_drained_once_for_work_that_began_before(monkeypatch: pytest.MonkeyPatch) -> None:
    drained_at: WeakKeyDictionary[Pool, float] = WeakKeyDictionary()
    monkeypatch.setattr(db, "_drained_at", drained_at)
    pool, other = Pool(), Pool()
    began_at = time.monotonic()
    discard(Pooled(pool), started_at=0.0)
    assert pool.drains == 1
    discard(Pooled(pool), started_at=began_at)
    assert pool.drains == 1
    discard(Pooled(other), started_at=began_at)
    assert (pool.drains, other.drains) == (1, 1)
    discard(Pooled(pool), started_at=drained_at[pool])
    assert pool.drains == 2


@pytest.mark.parametrize("pool", [None, Pool()])
def test_discarded_connection_is_closed(pool: Pool | None) -> None:
    connection = Pooled(pool)
    discard(connection, started_at=0.0)
    assert connection.closed == 1


def test_lock_key_is_the_same_in_all_versions() -> None:
    assert lock_key("user_1") == -3397321138307163681
    assert lock_key("user_2") != lock_key("user_1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize("clerk_ids", [(), ("user_1",), ("user_2", "user_1", "user_2")])
def test_locking_query_locks_each_id_once_and_sets_the_timeout(clerk_ids: tuple[str, ...]) -> None:
    held = (
        "SELECT (classid::bigint << 32) + objid::bigint FROM pg_locks"
        " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(locking_query(*clerk_ids))
        assert len(cursor.fetchall()) == 1
        cursor.execute(held)
        assert sorted(key for (key,) in cursor.fetchall()) == sorted(map(lock_key, set(clerk_ids)))
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("5s",)
    keys = sorted(map(lock_key, set(clerk_ids)))
    assert f"ARRAY{keys}" in locking_query(*clerk_ids)


@pytest.mark.django_db(transaction=True)
def test_callback_runs_after_the_commit_or_at_once() -> None:
    calls: list[str] = []
    with transaction.atomic():
        after_commit(lambda: calls.append("later"))
        assert calls == []
    assert calls == ["later"]
    after_commit(lambda: calls.append("at once"))
    assert calls == ["later", "at once"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_atomic", [True, False])
def test_error_of_a_callback_is_logged_by_its_class(
    caplog: pytest.LogCaptureFixture, *, is_atomic: bool
) -> None:
    def fail() -> None:
        raise LookupError("ada@example.test")

    with transaction.atomic() if is_atomic else nullcontext():
        after_commit(fail)
    (record,) = [each for each in caplog.records if each.name == "accounts.db"]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "Unexpected error after a commit")
    assert "LookupError" in str(record.__dict__)
    assert "ada@" not in str(record.__dict__)


@pytest.mark.django_db(transaction=True)
def test_only_an_answer_of_the_database_closes_the_breaker() -> None:
    clock = Clock()
    breaker = Breaker("test", clock=clock)
    breaker.open()
    clock.now += 2
    with database_deadline(breaker), suppress(OperationalError):
        retry_on_dead_connection(fail_in_the_database)
    assert breaker.is_open
    clock.now += 2
    with database_deadline(breaker):
        assert retry_on_dead_connection(User.objects.count) == 0
    assert not breaker.is_open


def fail_in_the_database() -> None:
    raise failure(sqlstate="XX000")


@pytest.mark.django_db(transaction=True)
def test_deadline_starts_with_the_first_use_and_may_be_replaced() -> None:
    start_deadline()
    restart_deadline(seconds=2)
    assert current_deadline() is None
    with database_deadline():
        assert seconds_left() < 0
        start_deadline()
        assert DEADLINE_SECONDS - 1 < seconds_left() <= DEADLINE_SECONDS
        restart_deadline(seconds=2)
        assert 1 < seconds_left() <= 2
    assert current_deadline() is None


def seconds_left() -> float:
    deadline = current_deadline()
    assert deadline
    return deadline.ends_at - time.monotonic()
