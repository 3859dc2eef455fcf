"""A project's own handlers: what they get, when they run, and what their failures change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.webhooks.deliveries import (
    INSTANCE,
    deliver,
    envelope,
    next_id,
    now,
    outcome_of,
    user_data,
)
from tests.webhooks.handler_cases import DATA, TYPE, Trouble, groups
from tests.webhooks.trouble import address
from webhooks import ClerkEvent, on
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seen() -> list[ClerkEvent]:
    """Record the events that a handler of `TYPE` and `user.updated` gets."""
    events: list[ClerkEvent] = []

    @on(TYPE)
    @on("user.updated")
    def record(event: ClerkEvent) -> None:
        events.append(event)

    return events


# What a handler gets


def test_handler_gets_the_event(seen: list[ClerkEvent]) -> None:
    at = now() - 60_000
    assert outcome_of(envelope(TYPE, DATA, at=at)) == "handled"
    occurred_at = datetime.fromtimestamp(at / 1000, UTC)
    assert seen == [
        ClerkEvent(type=TYPE, occurred_at=occurred_at, instance_id=INSTANCE, data=DATA, outcome=None)
    ]
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.failed_handler, entry.error_code) == ("handled", "", "")
    assert entry.handled_at is not None


def test_handler_of_a_user_event_gets_our_outcome(seen: list[ClerkEvent]) -> None:
    outcome_of(envelope("user.updated", user_data()))
    old = user_data(updated_at=now() - 3_600_000, first_name="Old")
    assert outcome_of(envelope("user.updated", old)) == "stale"
    assert [event.outcome for event in seen] == ["created", "stale"]
    assert {entry.outcome for entry in WebhookEvent.objects.all()} == {"created", "stale"}


def test_our_effect_is_committed_when_the_handler_runs() -> None:
    found: list[Any] = []

    @on("user.created")
    def look(event: ClerkEvent) -> None:
        if connection.vendor == "postgresql":
            with psycopg.connect(address()) as other:
                found.extend(other.execute("SELECT clerk_id FROM accounts_user").fetchone() or ())
        else:
            found.append(User.objects.get().clerk_id)

    outcome_of(envelope("user.created", user_data()))
    assert found == ["user_1"]


@pytest.mark.parametrize("data", [None, [], "org_1", 7])
def test_event_whose_data_is_no_object_reaches_no_handler(data: object, seen: list[ClerkEvent]) -> None:
    assert outcome_of(envelope(TYPE, data)) == "ignored"
    assert seen == []


def test_rejected_event_reaches_no_handler(seen: list[ClerkEvent]) -> None:
    assert outcome_of(envelope("user.updated", {"id": None})) == "rejected"
    assert seen == []


def test_event_of_a_type_without_a_handler_is_ignored(seen: list[ClerkEvent]) -> None:
    assert outcome_of(envelope("organization.deleted", DATA)) == "ignored"
    assert (seen, WebhookEvent.objects.get().handled_at) == ([], None)


def test_handler_of_a_type_that_clerk_does_not_send_is_never_called() -> None:
    @on("organisation.created")
    def mistyped(event: ClerkEvent) -> None:
        pytest.fail("no event has this type")

    assert outcome_of(envelope(TYPE, DATA)) == "ignored"


# Once


def test_five_deliveries_run_the_handler_once(seen: list[ClerkEvent]) -> None:
    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert [outcome_of(event, svix_id=svix_id) for _ in range(5)] == ["handled", *["duplicate"] * 4]
    assert len(seen) == 1
    assert WebhookEvent.objects.get().attempts == 5


def test_ignored_event_is_handled_when_it_is_replayed_to_a_new_handler() -> None:
    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert outcome_of(event, svix_id=svix_id) == "ignored"

    @on(TYPE)
    def handle_later(event: ClerkEvent) -> None:
        pass

    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert outcome_of(event, svix_id=svix_id) == "duplicate"


def test_several_handlers_run_in_order_and_in_one_transaction(trouble: Trouble) -> None:
    order: list[str] = []

    @on(TYPE)
    def write(event: ClerkEvent) -> None:
        order.append("write")
        Group.objects.create(name="written")

    @on(TYPE)
    def fail(event: ClerkEvent) -> None:
        order.append("fail")
        if trouble.is_on:
            raise LookupError

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert groups() == []
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert groups() == ["written"]
    assert order == ["write", "fail"] * 2


# Cost


def test_handler_costs_a_transaction_with_five_statements_at_most(seen: list[ClerkEvent]) -> None:
    with CaptureQueriesContext(connection) as captured:
        outcome_of(envelope(TYPE, DATA))
    frame = ("BEGIN", "COMMIT", "SET LOCAL lock_timeout = 5000")
    statements = [query["sql"] for query in captured if query["sql"] not in frame]
    assert len(statements) <= 7, statements
