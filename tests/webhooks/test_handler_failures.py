"""The failures of a project's own handlers: what they change, what is recorded, and what is repeated."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError, connection, transaction
from django.http import Http404
from django.utils import timezone

from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import code_of, deliver, envelope, next_id, outcome_of, user_data
from tests.webhooks.handler_cases import DATA, TYPE, Trouble, groups
from tests.webhooks.trouble import address
from webhooks import ClerkEvent, on
from webhooks.dispatch import HandlerFailed, record_handler_failure, run_once
from webhooks.handlers import SyncUnavailable
from webhooks.models import WebhookEvent
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "tests.webhooks.test_handler_failures"


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


@pytest.mark.usefixtures("add_group")
def test_failure_is_logged_and_observed_by_its_class(
    record_signal: RecordSignal, caplog: pytest.LogCaptureFixture
) -> None:
    received, failures = record_signal(webhook_received), record_signal(sync_failed)
    assert deliver(envelope(TYPE, DATA)).status_code == 503
    (record,) = [each for each in caplog.records if each.getMessage() == "Webhook event handled"]
    assert (record.levelno, record.__dict__["error_code"]) == (logging.ERROR, "LookupError")
    assert record.__dict__["outcome"] == "failed"
    assert [(each["sender"], each["outcome"]) for each in received] == [(WebhookEvent, "failed")]
    assert [each["sender"] for each in failures] == [WebhookEvent]


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


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("of another database"),
        Group.DoesNotExist(),
        Http404(),
        PermissionDenied(),
        SuspiciousOperation(),
        SyncUnavailable(),
        AssertionError(),
        SystemExit(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_exception_of_a_handler_is_its_failure(error: BaseException) -> None:
    @on(TYPE)
    def fail(event: ClerkEvent) -> None:
        Group.objects.create(name="written")
        raise error

    assert deliver(envelope(TYPE, DATA)).status_code == 503
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code) == ("failed", type(error).__name__)
    assert (entry.failed_handler[-4:], entry.handled_at, groups()) == ("fail", None, [])


def test_interrupt_of_the_process_stores_nothing_and_the_repeat_is_handled(trouble: Trouble) -> None:
    @on("user.created")
    def work(event: ClerkEvent) -> None:
        Group.objects.create(name=f"{event.outcome} {Group.objects.count()}")
        if trouble.is_on:
            raise KeyboardInterrupt

    svix_id, event = next_id(), envelope("user.created", user_data())
    with pytest.raises(KeyboardInterrupt):
        deliver(event, svix_id=svix_id)
    assert (groups(), WebhookEvent.objects.get().outcome) == ([], "created")
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "created"
    assert groups() == ["created 0"]


def test_name_and_class_of_any_length_are_stored() -> None:
    long_error = type("E" * 300, (Exception,), {})

    def fail(event: ClerkEvent) -> None:
        raise long_error

    fail.__qualname__ = "f" * 300
    on(TYPE)(fail)
    assert deliver(envelope(TYPE, DATA)).status_code == 503
    entry = WebhookEvent.objects.get()
    assert (len(entry.failed_handler), len(entry.error_code)) == (200, 64)


def test_handler_that_closes_the_connection_fails_alone(trouble: Trouble) -> None:
    @on(TYPE)
    def close(event: ClerkEvent) -> None:
        Group.objects.create(name="written")
        if trouble.is_on:
            connection.close()

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert deliver(event, svix_id=svix_id).status_code == 503
    assert (groups(), WebhookEvent.objects.get().handled_at) == ([], None)
    trouble.is_on = False
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert groups() == ["written"]


def test_second_handler_s_failure_replaces_the_name_of_the_first() -> None:
    failing = ["one", "two"]

    @on(TYPE)
    def one(event: ClerkEvent) -> None:
        if "one" in failing:
            raise LookupError

    @on(TYPE)
    def two(event: ClerkEvent) -> None:
        raise ValueError

    svix_id, event = next_id(), envelope(TYPE, DATA)
    for name, error in (("one", "LookupError"), ("two", "ValueError")):
        deliver(event, svix_id=svix_id)
        entry = WebhookEvent.objects.get()
        assert (entry.failed_handler.rpartition(".")[2], entry.error_code) == (name, error)
        failing.remove(name)


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


def test_failure_is_recorded_at_its_own_event_that_is_not_handled() -> None:
    mine, other, handled = next_id(), next_id(), next_id()
    for svix_id in (mine, other, handled):
        assert outcome_of(envelope(TYPE, DATA), svix_id=svix_id) == "ignored"
    WebhookEvent.objects.filter(svix_id=handled).update(handled_at=timezone.now())
    for svix_id in (mine, handled):
        record_handler_failure(HandlerFailed("shop.clerk_events.add", error=LookupError()), svix_id=svix_id)
    failed = WebhookEvent.objects.exclude(failed_handler="")
    assert [(entry.svix_id, entry.outcome) for entry in failed] == [(mine, "failed")]


def test_handlers_do_not_join_a_transaction_of_their_caller() -> None:
    event = ClerkEvent(type=TYPE, occurred_at=timezone.now(), instance_id=None, data=DATA, outcome=None)
    with transaction.atomic(), pytest.raises(RuntimeError):
        run_once([], event, svix_id=next_id())
