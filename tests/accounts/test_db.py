"""The write database: reloads, retries, the drain of a pool, and the codes of failures."""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from django.db import DatabaseError, OperationalError, connections, router
from django.http import HttpRequest, HttpResponse

from accounts import db
from accounts.db import (
    LOCK_NOT_AVAILABLE,
    READ_ONLY_TRANSACTION,
    UserNotCreated,
    discard_connection,
    failure_reason,
    outside_atomic_requests,
    retry_on_dead_connection,
    write_connection,
)
from accounts.models import User
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
