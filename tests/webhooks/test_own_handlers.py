"""A project's own handlers: what they get, when they run, and what their failures change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import (
    INSTANCE,
    code_of,
    deliver,
    envelope,
    next_id,
    now,
    outcome_of,
    user_data,
)
from tests.webhooks.trouble import address
from webhooks import ClerkEvent, on
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)
TYPE = "organization.created"
DATA = {"id": "org_1", "name": "Acme"}
HERE = "tests.webhooks.test_own_handlers"


class Trouble:
    """A handler's fault that a test can end."""

    is_on = True


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def seen() -> list[ClerkEvent]:
    """Record the events that a handler of `TYPE` and `user.updated` gets."""
    events: list[ClerkEvent] = []

    @on(TYPE)
    @on("user.updated")
    def record(event: ClerkEvent) -> None:
        events.append(event)

    return events


@pytest.fixture
def add_group(trouble: Trouble) -> Callable[[ClerkEvent], None]:
    """Register a handler that writes a row and fails while there is trouble."""

    @on(TYPE)
    @on("user.created")
    def add_group(event: ClerkEvent) -> None:
        Group.objects.create(name=f"{event.outcome} {Group.objects.count()}")
        if trouble.is_on:
            raise LookupError("canary-93ad")

    return add_group


def groups() -> list[str]:
    return [group.name for group in Group.objects.order_by("pk")]


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


# Failures


def test_failed_handler_is_503_and_the_repeat_runs_the_handlers_alone(
    trouble: Trouble, add_group: Callable[..., None], record_signal: RecordSignal
) -> None:
    failures = record_signal(sync_failed)
    svix_id, event = next_id(), envelope("user.created", user_data())
    for _ in range(2):
        response = deliver(event, svix_id=svix_id)
        assert (response.status_code, code_of(response)) == (503, "sync_unavailable")
    assert groups() == []
    assert User.objects.get().first_name == "Ada"
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("created", "LookupError", 2)
    name = f"{HERE}.add_group.<locals>.add_group"
    assert (entry.failed_handler, entry.handled_at) == (name, None)
    reasons = [(failure["clerk_id"], failure["source"], failure["reason"]) for failure in failures]
    assert reasons == [(None, "webhook", f"handler_failed:{name}")] * 2

    User.objects.update(first_name="Changed")
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "created"
    assert outcome_of(event, svix_id=svix_id) == "duplicate"
    assert (groups(), User.objects.get().first_name) == (["created 0"], "Changed")
    entry.refresh_from_db()
    assert (entry.outcome, entry.error_code, entry.failed_handler) == ("created", "", "")
    assert entry.handled_at is not None


def test_event_that_only_a_handler_takes_has_failed_until_it_is_handled(
    trouble: Trouble, add_group: Callable[..., None]
) -> None:
    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert WebhookEvent.objects.get().outcome == "failed"
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert (WebhookEvent.objects.get().outcome, groups()) == ("handled", ["None 0"])


def test_failure_of_a_handler_is_logged_without_its_text(
    add_group: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        deliver(envelope(TYPE, DATA | {"name": "canary-93ad"}))
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    assert ("A webhook handler failed", "LookupError") in [
        (record.getMessage(), getattr(record, "error", None)) for record in lines
    ]
    assert "canary-93ad" not in "".join(repr(vars(record)) for record in lines)
    assert "canary-93ad" not in repr(list(WebhookEvent.objects.values()))


def test_statement_that_failed_in_a_handler_is_its_failure_even_if_it_hides_it() -> None:
    @on(TYPE)
    def hide(event: ClerkEvent) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")
        except Exception:  # noqa: BLE001, S110 - the fault of this handler
            pass
        Group.objects.count()

    assert deliver(envelope(TYPE, DATA)).status_code == (503 if connection.vendor == "postgresql" else 200)
    if connection.vendor == "postgresql":
        assert WebhookEvent.objects.get().failed_handler.endswith(".hide")


def test_handler_may_open_a_transaction_of_its_own_that_is_part_of_ours(trouble: Trouble) -> None:
    @on(TYPE)
    def nest(event: ClerkEvent) -> None:
        with transaction.atomic():
            Group.objects.create(name="nested")
        if trouble.is_on:
            raise LookupError

    svix_id, event = next_id(), envelope(TYPE, DATA)
    deliver(event, svix_id=svix_id)
    assert groups() == []
    trouble.is_on = False
    outcome_of(event, svix_id=svix_id)
    assert groups() == ["nested"]


def test_durable_transaction_in_a_handler_is_its_failure() -> None:
    @on(TYPE)
    def durable(event: ClerkEvent) -> None:
        with transaction.atomic(durable=True):
            pytest.fail("it is inside a transaction")

    assert deliver(envelope(TYPE, DATA)).status_code == 503
    assert WebhookEvent.objects.get().error_code == "RuntimeError"


def test_returned_value_is_ignored_but_a_coroutine_is_a_failure(trouble: Trouble) -> None:
    async def work() -> None:
        pytest.fail("nothing runs it")

    @on(TYPE)
    def give_back(event: ClerkEvent) -> object:
        return work() if trouble.is_on else "done"

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert WebhookEvent.objects.get().error_code == "TypeError"
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "handled"


def test_callback_runs_after_the_commit_and_not_after_a_failure(trouble: Trouble) -> None:
    calls: list[bool] = []

    @on(TYPE)
    def later(event: ClerkEvent) -> None:
        transaction.on_commit(lambda: calls.append(WebhookEvent.objects.get().outcome == "handled"))
        if trouble.is_on:
            raise LookupError

    svix_id, event = next_id(), envelope(TYPE, DATA)
    deliver(event, svix_id=svix_id)
    assert calls == []
    trouble.is_on = False
    outcome_of(event, svix_id=svix_id)
    assert calls == [True]


def test_callback_that_fails_is_reported_and_the_event_stays_handled(record_signal: RecordSignal) -> None:
    failures = record_signal(sync_failed)

    def fail() -> None:
        raise LookupError

    @on(TYPE)
    def later(event: ClerkEvent) -> None:
        transaction.on_commit(fail)

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]
    assert outcome_of(event, svix_id=svix_id) == "duplicate"


@pytest.mark.postgresql
@pytest.mark.own_session
def test_lost_connection_in_a_handler_is_a_failure_of_the_database(
    trouble: Trouble, record_signal: RecordSignal
) -> None:
    failures = record_signal(sync_failed)

    @on(TYPE)
    def work(event: ClerkEvent) -> None:
        Group.objects.create(name="written")
        if trouble.is_on:
            with psycopg.connect(address(), autocommit=True) as other:
                pid = connection.connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
            Group.objects.count()

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert [failure["reason"] for failure in failures] == ["database_error"]
    assert WebhookEvent.objects.get().failed_handler == ""
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert groups() == ["written"]


# Cost


def test_handler_costs_a_transaction_with_five_statements_at_most(seen: list[ClerkEvent]) -> None:
    with CaptureQueriesContext(connection) as captured:
        outcome_of(envelope(TYPE, DATA))
    frame = ("BEGIN", "COMMIT", "SET LOCAL lock_timeout = 5000")
    statements = [query["sql"] for query in captured if query["sql"] not in frame]
    assert len(statements) <= 7, statements
