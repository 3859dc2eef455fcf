"""The deadline of a request, the breaker, and connections that are replaced; with a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts import deadline
from accounts.clerk.profiles import Source
from accounts.db import locked_transaction, retry_on_dead_connection
from accounts.deadline import (
    DEADLINE_SECONDS,
    TRIAL_SECONDS,
    Breaker,
    DeadlinePassed,
    database_deadline,
)
from accounts.models import User
from accounts.sign_in import breaker as authentication_breaker
from accounts.sync import sync_user
from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.wire import event_object
from health.report.shared import shared_reports
from tests.accounts.profiles import profile
from tests.clock import Clock
from tests.webhooks.trouble import address
from webhooks.views import breaker as webhook_breaker

# No connection is opened when less than a second and a half remain.
SHORT = 1.7


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the promised time, so that a test does not take it."""
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", SHORT)


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Lock a table as a migration does."""
    with psycopg.connect(address()) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


def sleep(seconds: float) -> None:
    """Let the database work for this time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def deliver(clerk: LocalClerk) -> int:
    """Deliver an update of a user and return the status."""
    user = clerk.person("ada")
    change = Change(type="user.updated", user=user, at=user.updated_at)
    headers, body = clerk.sign_webhook(event_object(change, instance_id=clerk.instance_id))
    return Client(headers=headers).post("/webhooks/clerk", body, content_type="application/json").status_code


# The breaker


def test_one_trial_per_second_until_the_first_success() -> None:
    clock = Clock()
    breaker = Breaker("test", clock=clock)
    assert breaker.admit() == DEADLINE_SECONDS
    breaker.open()
    assert breaker.admit() == 0
    clock.now += 1
    assert [breaker.admit() for _ in range(3)] == [TRIAL_SECONDS, 0, 0]
    breaker.open()  # the trial has met its deadline
    clock.now += 0.9
    assert breaker.admit() == 0
    clock.now += 0.1
    assert breaker.admit() == TRIAL_SECONDS
    breaker.close()
    assert [breaker.admit() for _ in range(3)] == [DEADLINE_SECONDS] * 3


@pytest.mark.django_db
def test_a_refused_request_does_not_close_it() -> None:
    breaker = Breaker("test", clock=Clock())
    retry_on_dead_connection(User.objects.exists)
    breaker.open()
    with database_deadline(breaker), pytest.raises(DeadlinePassed):
        retry_on_dead_connection(User.objects.exists)
    assert breaker.is_open


@pytest.mark.django_db
def test_the_trial_that_is_answered_closes_it() -> None:
    clock = Clock()
    breaker = Breaker("test", clock=clock)
    breaker.open()
    clock.now += 1
    with database_deadline(breaker):
        retry_on_dead_connection(User.objects.exists)
    assert not breaker.is_open


# The deadline


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("short_deadline")
class TestDeadline:
    """With real waits in PostgreSQL."""

    def test_a_statement_ends_and_opens_the_breaker(self) -> None:
        breaker = Breaker("test")
        begin = time.monotonic()
        with database_deadline(breaker), pytest.raises(OperationalError):
            retry_on_dead_connection(lambda: sleep(20))
        assert SHORT - 0.1 < time.monotonic() - begin < SHORT + 6
        assert breaker.is_open
        assert connection.connection is None

    def test_it_includes_the_repetition_and_what_follows(self) -> None:
        begin = time.monotonic()
        with database_deadline():
            for _ in range(3):
                with pytest.raises(OperationalError):
                    retry_on_dead_connection(lambda: sleep(20))
            with pytest.raises(OperationalError), locked_transaction("user_1"):
                pass
        assert time.monotonic() - begin < SHORT + 6

    def test_a_transaction_that_it_ends_opens_no_connection(self) -> None:
        with database_deadline(), pytest.raises(OperationalError), locked_transaction("user_1"):
            sleep(20)
        assert connection.connection is None
        assert retry_on_dead_connection(User.objects.count) == 0

    def test_the_statements_afterwards_have_no_deadline(self) -> None:
        with database_deadline(Breaker("test")):
            retry_on_dead_connection(User.objects.exists)
        sleep(SHORT + 0.3)
        assert "get_new_connection" not in vars(connection)

    def test_slow_python_code_is_not_the_databases(self) -> None:
        breaker = Breaker("test")
        with database_deadline(breaker):
            retry_on_dead_connection(User.objects.exists)
            time.sleep(SHORT + 0.3)
        assert not breaker.is_open
        assert connection.connection is not None

    def test_an_inner_block_shares_it(self) -> None:
        with database_deadline():
            retry_on_dead_connection(User.objects.exists)
            time.sleep(SHORT)
            with database_deadline(), pytest.raises(DeadlinePassed):
                retry_on_dead_connection(User.objects.exists)

    @pytest.mark.usefixtures("clerk_settings")
    def test_a_locked_table_is_503_and_then_503_at_once(self, clerk: LocalClerk) -> None:
        me = Client(headers={"Authorization": f"Bearer {clerk.mint('ada')}"})
        assert me.get("/api/v1/me").status_code == 200
        with locked("accounts_user"):
            begin = time.monotonic()
            answers = [me.get("/api/v1/me") for _ in range(3)]
            assert SHORT - 0.1 < time.monotonic() - begin < SHORT + 6
        assert [answer.status_code for answer in answers] == [503] * 3
        assert [answer.json()["errors"][0]["code"] for answer in answers] == ["sync_unavailable"] * 3
        assert all(answer["Retry-After"] for answer in answers)
        assert authentication_breaker.is_open
        time.sleep(1.1)
        assert me.get("/api/v1/me").status_code == 200
        assert not authentication_breaker.is_open

    @pytest.mark.usefixtures("clerk_settings")
    def test_a_locked_ledger_is_503_to_webhooks_alone(self, clerk: LocalClerk) -> None:
        with locked("webhooks_webhookevent"):
            begin = time.monotonic()
            statuses = [deliver(clerk) for _ in range(3)]
            assert time.monotonic() - begin < SHORT + 6
            assert statuses == [503, 503, 503]
            assert webhook_breaker.is_open
            headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
            assert Client(headers=headers).get("/api/v1/me").status_code == 200
        time.sleep(1.1)
        assert deliver(clerk) == 200

    def test_a_locked_table_of_failures_does_not_hold_the_report(self) -> None:
        shared_reports.clear()
        with locked("health_syncfailure"):
            begin = time.monotonic()
            assert Client().get("/health/sync").json() == {"status": "unknown"}
            while Client().get("/health/sync").json() == {"status": "unknown"}:
                assert time.monotonic() - begin < SHORT + 6
            assert Client().get("/health/sync").json() == {"status": "degraded"}


# Connections


@pytest.mark.own_session
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_read_only_connection_is_replaced_and_the_work_runs_again() -> None:
    make_read_only()
    user = retry_on_dead_connection(lambda: sync_user(profile(Source.CLAIMS, 1_000_000))).identity
    assert user is not None
    assert User.objects.get().pk == user.pk


@pytest.mark.own_session
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clerk_settings")
def test_a_first_request_and_a_webhook_on_a_read_only_connection_succeed(clerk: LocalClerk) -> None:
    make_read_only()
    headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    assert Client(headers=headers).get("/api/v1/me").status_code == 200
    make_read_only()
    assert deliver(clerk) == 200


def make_read_only() -> None:
    """Let this connection answer writes as one to a standby does, with SQLSTATE 25006."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
