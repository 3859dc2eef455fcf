"""Handlers that take long: what ends them, what is recorded, and what other deliveries notice."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from accounts import deadline
from accounts.deadline import DEADLINE_SECONDS
from accounts.signals import sync_failed
from devclerk.fixtures import LocalClerk
from devclerk.webhooks import ATTEMPT_SECONDS
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import deliver, envelope, next_id, outcome_of, user_data
from tests.webhooks.handler_cases import DATA, TYPE, Trouble, groups
from webhooks import ClerkEvent, dispatch, handlers, on
from webhooks.models import WebhookEvent
from webhooks.views import breaker

pytestmark = pytest.mark.django_db(transaction=True)
SHORT = 2.5  # seconds, of which a second is for a busy machine


@pytest.fixture
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time of handlers, so that a test does not take it."""
    for module in (dispatch, handlers):
        monkeypatch.setattr(module, "HANDLERS_SECONDS", SHORT)


def test_svix_gets_an_answer_in_time() -> None:
    assert DEADLINE_SECONDS + dispatch.HANDLERS_SECONDS + dispatch.RECORD_SECONDS < ATTEMPT_SECONDS


@pytest.mark.parametrize(
    "place", ["code", pytest.param("database", marks=[pytest.mark.postgresql, pytest.mark.own_session])]
)
@pytest.mark.usefixtures("short_time")
def test_handler_that_takes_too_long_fails_by_its_name_and_alone(
    place: str, trouble: Trouble, record_signal: RecordSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = record_signal(sync_failed)

    @on("user.created")
    def slow(event: ClerkEvent) -> None:
        Group.objects.create(name="written")
        if trouble.is_on and place == "database":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(5)")  # the server goes on, with its locks
        elif trouble.is_on:
            time.sleep(SHORT + 0.3)

    svix_id, event = next_id(), envelope("user.created", user_data())
    began = time.monotonic()
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert time.monotonic() - began < 30
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.handled_at) == ("created", "DeadlinePassed", None)
    assert entry.failed_handler.endswith(".slow")
    assert [failure["reason"] for failure in failures] == [f"handler_failed:{entry.failed_handler}"]
    assert groups() == []

    # The database has answered all of its own statements, so other deliveries are admitted.
    assert not breaker.is_open
    assert outcome_of(envelope("user.updated", user_data(first_name="Augusta"))) == "updated"
    trouble.is_on = False
    monkeypatch.undo()
    assert outcome_of(event, svix_id=svix_id) == "created"
    assert groups() == ["written"]


def test_handler_may_take_longer_than_our_own_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", SHORT)

    @on(TYPE)
    def slow(event: ClerkEvent) -> None:
        time.sleep(SHORT + 0.3)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.5)")  # long enough for a watchdog that would cut it
        Group.objects.create(name="written")

    assert outcome_of(envelope(TYPE, DATA)) == "handled"
    assert groups() == ["written"]


@pytest.mark.usefixtures("short_time")
def test_callback_has_its_own_time() -> None:
    @on(TYPE)
    def handle(event: ClerkEvent) -> None:
        transaction.on_commit(work)
        time.sleep(SHORT - 1)

    def work() -> None:
        time.sleep(SHORT - 1)
        with transaction.atomic():
            Group.objects.create(name="written")

    assert outcome_of(envelope(TYPE, DATA)) == "handled"
    assert groups() == ["written"]


@pytest.mark.postgresql
@pytest.mark.own_session
@pytest.mark.usefixtures("short_time")
def test_callback_that_takes_too_long_is_cut_and_the_event_stays_handled(record_signal: RecordSignal) -> None:
    failures = record_signal(sync_failed)

    @on(TYPE)
    def handle(event: ClerkEvent) -> None:
        transaction.on_commit(wait)

    def wait() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")  # less than the time of a request

    assert outcome_of(envelope(TYPE, DATA)) == "handled"
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("kind", "data", "outcome"), [(TYPE, DATA, "handled"), ("user.created", user_data(), "created")]
)
def test_repeat_while_its_handler_runs_is_no_failure(
    record_signal: RecordSignal, monkeypatch: pytest.MonkeyPatch, kind: str, data: object, outcome: str
) -> None:
    for module in (dispatch, handlers):
        monkeypatch.setattr(module, "HANDLERS_SECONDS", 30)
    failures, started, goes_on = record_signal(sync_failed), threading.Event(), threading.Event()

    @on("user.updated")
    def quick(event: ClerkEvent) -> None:
        """Another event, whose handler waits for no other one."""

    @on(kind)
    def slow(event: ClerkEvent) -> None:
        started.set()
        assert goes_on.wait(20)

    svix_id, event = next_id(), envelope(kind, data)

    def deliver_first() -> str:
        try:
            return outcome_of(event, svix_id=svix_id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(deliver_first)
        assert started.wait(20)
        assert deliver(event, svix_id=svix_id).status_code == 503
        assert outcome_of(envelope("user.updated", user_data(id="user_2"))) == "created"
        goes_on.set()
        assert first.result() == outcome
    assert failures == []
    assert outcome_of(event, svix_id=svix_id) == "duplicate"


@pytest.mark.postgresql
def test_breaker_closes_although_a_handler_fails() -> None:
    @on(TYPE)
    def fail(event: ClerkEvent) -> None:
        raise LookupError

    breaker.open()
    time.sleep(deadline.SECONDS_BETWEEN_TRIALS + 0.1)
    assert deliver(envelope(TYPE, DATA)).status_code == 503
    assert not breaker.is_open


def test_handler_may_call_clerk(clerk: LocalClerk) -> None:
    @on(TYPE)
    def fetch(event: ClerkEvent) -> None:
        ada = clerk.person("ada").id
        response = requests.get(
            f"{clerk.api_url}/v1/users/{ada}",
            headers={"Authorization": f"Bearer {clerk.secret_key}"},
            timeout=5,
        )
        response.raise_for_status()
        Group.objects.create(name=response.json()["first_name"])

    svix_id, event = next_id(), envelope(TYPE, DATA)
    clerk.api_fails(429)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert WebhookEvent.objects.get().error_code == "HTTPError"
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert groups() == ["Ada"]
