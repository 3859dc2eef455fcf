"""A project's handlers under parallel deliveries on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.utils import timezone

from accounts.db import lock_key
from accounts.models import User
from tests.webhooks.deliveries import deliver, envelope, next_id, outcome_of, user_data
from tests.webhooks.trouble import address
from webhooks import ClerkEvent, on
from webhooks.dispatch import run_once
from webhooks.models import WebhookEvent
from webhooks.turns import MAX_TURN_SECONDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
TYPE = "organization.created"
WAIT_SECONDS = 20


def answer(event: object, svix_id: str) -> str:
    """Deliver the event with a connection of its own until it is answered with 200; return the outcome."""
    try:
        while (response := deliver(event, svix_id=svix_id)).status_code == 503:
            time.sleep(0.05)
        outcome: str = response.json()["outcome"]
        return outcome
    finally:
        connections.close_all()


def status(event: object, svix_id: str) -> int:
    """Deliver the event once with a connection of its own; return the status."""
    try:
        return deliver(event, svix_id=svix_id).status_code
    finally:
        connections.close_all()


@pytest.mark.parametrize("seed", range(3))
def test_twelve_parallel_deliveries_run_the_handler_once_for_each_event(seed: int) -> None:
    @on(TYPE)
    @on("user.created")
    def keep(event: ClerkEvent) -> None:
        number = Group.objects.count()
        time.sleep(0.01)
        Group.objects.create(name=f"{event.data['id']} {number} {threading.get_ident()} {time.time_ns()}")

    events = [
        *((next_id(), envelope(TYPE, {"id": f"org_{number}"})) for number in range(3)),
        (next_id(), envelope("user.created", user_data(first_name=f"Ada {seed}"))),
    ]
    with ThreadPoolExecutor(12) as threads:
        waiting = [(threads.submit(answer, event, svix_id), svix_id) for svix_id, event in events * 6]
        outcomes = Counter((svix_id, future.result()) for future, svix_id in waiting)

    for svix_id, event in events:
        assert outcomes[svix_id, "handled" if event["type"] == TYPE else "created"] == 1
        assert outcomes[svix_id, "duplicate"] == 5
    assert Counter(group.name.split()[0] for group in Group.objects.all()) == dict.fromkeys(
        ("org_0", "org_1", "org_2", "user_1"), 1
    )
    assert not WebhookEvent.objects.filter(handled_at=None).exists()


def test_handler_that_fails_once_runs_again_in_a_parallel_delivery() -> None:
    calls: list[int] = []

    @on(TYPE)
    def fail_once(event: ClerkEvent) -> None:
        calls.append(len(calls))
        Group.objects.create(name=f"call {len(calls)}")
        time.sleep(0.2)
        if len(calls) == 1:
            raise LookupError

    event, svix_id = envelope(TYPE, {"id": "org_1"}), next_id()
    with ThreadPoolExecutor(2) as threads:
        statuses = sorted(threads.map(status, [event] * 2, [svix_id] * 2))
    assert statuses == [200, 503]
    assert [group.name for group in Group.objects.all()] == ["call 2"]
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.failed_handler) == ("handled", "", "")


def test_processes_that_share_no_turn_run_the_handler_once() -> None:
    def keep(event: ClerkEvent) -> None:
        calls.append(event.type)
        time.sleep(0.05)

    def run(_: int) -> bool:
        try:
            return run_once([keep], event, svix_id="msg_shared")
        finally:
            connections.close_all()

    calls: list[str] = []
    at = timezone.now()
    event = ClerkEvent(type=TYPE, occurred_at=at, instance_id=None, data={}, outcome=None)
    WebhookEvent.objects.create(
        svix_id="msg_shared", type=TYPE, occurred_at=at, received_at=at, outcome="ignored"
    )
    # The turns are of one process: `run_once` does not know them, like the deliveries of another process.
    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(run, range(4))) == [False, False, False, True]
    assert calls == [TYPE]


@pytest.fixture
def slow() -> tuple[threading.Event, threading.Event]:
    """Register a handler that runs until the second event is set, and sets the first one when it starts."""
    started, end = threading.Event(), threading.Event()

    @on("user.created")
    def wait(event: ClerkEvent) -> None:
        started.set()
        assert end.wait(WAIT_SECONDS)

    return started, end


def test_other_events_and_sign_ins_of_the_user_do_not_wait_for_a_handler(
    slow: tuple[threading.Event, threading.Event],
) -> None:
    started, end = slow
    event, svix_id = envelope("user.created", user_data()), next_id()
    with ThreadPoolExecutor(2) as threads:
        try:
            first = threads.submit(answer, event, svix_id)
            assert started.wait(WAIT_SECONDS)
            # A repeat of the event waits for the handler; it holds neither the turn nor the lock of the user.
            repeat = threads.submit(answer, event, svix_id)
            time.sleep(0.2)
            begin = time.monotonic()
            assert outcome_of(envelope("user.updated", user_data(first_name="Augusta"))) == "updated"
            with psycopg.connect(address()) as other:
                found = other.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_key("user_1")]).fetchone()
            assert found == (True,)
            assert time.monotonic() - begin < MAX_TURN_SECONDS / 2
        finally:
            end.set()
        assert (first.result(), repeat.result()) == ("created", "duplicate")
    assert User.objects.get().first_name == "Augusta"


def test_repeats_of_an_event_do_not_hold_threads_behind_a_slow_handler(
    slow: tuple[threading.Event, threading.Event],
) -> None:
    started, end = slow
    event, svix_id = envelope("user.created", user_data()), next_id()
    with ThreadPoolExecutor(5) as threads:
        try:
            first = threads.submit(answer, event, svix_id)
            assert started.wait(WAIT_SECONDS)
            begin = time.monotonic()
            assert list(threads.map(status, [event] * 4, [svix_id] * 4)) == [503] * 4
            assert time.monotonic() - begin < MAX_TURN_SECONDS + 1
        finally:
            end.set()
        assert first.result() == "created"
    assert WebhookEvent.objects.get().attempts == 5
