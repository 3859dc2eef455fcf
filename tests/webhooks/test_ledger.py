"""One effect per event: repeats, statements, failures. The tests commit their transactions."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.db import lock_key
from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import code_of, deliver, envelope, next_id, now, outcome_of, user_data
from tests.webhooks.trouble import address, trigger
from webhooks.models import WebhookEvent
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db(transaction=True)
HOUR_MS = 3_600_000
TRANSACTION_STATEMENTS = ("BEGIN", "COMMIT", "SET LOCAL")
DATABASE_FAILURE = {
    "sender": WebhookEvent,
    "clerk_id": "user_1",
    "source": "webhook",
    "reason": "database_error",
    "in_transaction": False,
}
DELETION = {"id": "user_1", "object": "user", "deleted": True}


def list_statements(event: object, *, svix_id: str | None = None) -> list[str]:
    """Deliver the event and return the statements, without those of the transaction itself."""
    with CaptureQueriesContext(connection) as captured:
        outcome_of(event, svix_id=svix_id)
    return [query["sql"] for query in captured if not query["sql"].startswith(TRANSACTION_STATEMENTS)]


# Repeats


@pytest.mark.postgresql
def test_silent_database_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection.close()
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "connect_timeout", 2)
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", server.getsockname()[1])
        started = time.monotonic()
        assert code_of(deliver(envelope("user.created", user_data()))) == "sync_unavailable"
        assert 1.5 < time.monotonic() - started < 3.5
        connection.close()


def test_five_deliveries_have_one_effect() -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    outcomes = [outcome_of(event, svix_id=svix_id) for _ in range(5)]
    assert outcomes == ["created", *["duplicate"] * 4]
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.attempts) == ("created", 5)


@pytest.mark.parametrize(
    ("event_type", "data", "outcome"),
    [
        ("session.created", {}, "ignored"),
        ("user.updated", {"id": None}, "rejected"),
        ("user.deleted", DELETION, "deleted"),
    ],
)
def test_repeat_keeps_the_first_outcome(event_type: str, data: object, outcome: str) -> None:
    svix_id = next_id()
    assert outcome_of(envelope(event_type, data), svix_id=svix_id) == outcome
    assert outcome_of(envelope(event_type, data), svix_id=svix_id) == "duplicate"
    assert WebhookEvent.objects.get().outcome == outcome


def test_repeat_of_an_unchanged_event_is_a_duplicate() -> None:
    data, svix_id = user_data(), next_id()
    outcome_of(envelope("user.created", data))
    assert outcome_of(envelope("user.updated", data), svix_id=svix_id) == "unchanged"
    assert outcome_of(envelope("user.updated", data), svix_id=svix_id) == "duplicate"


def test_other_body_with_a_processed_id_has_no_effect() -> None:
    svix_id = next_id()
    outcome_of(envelope("user.created", user_data()), svix_id=svix_id)
    assert outcome_of(envelope("user.updated", user_data("user_2")), svix_id=svix_id) == "duplicate"
    assert not User.objects.filter(clerk_id="user_2").exists()


# Statements


@pytest.mark.postgresql
@pytest.mark.parametrize("later", [0, 1000], ids=["same version", "newer version"])
def test_unchanged_event_runs_at_most_four_statements(later: int) -> None:
    moment = now() - HOUR_MS
    outcome_of(envelope("user.created", user_data(updated_at=moment)))
    statements = list_statements(envelope("user.updated", user_data(updated_at=moment + later)))
    assert WebhookEvent.objects.latest("pk").outcome == "unchanged"
    assert len(statements) <= 4, statements
    assert not [sql for sql in statements if "SAVEPOINT" in sql]


def test_duplicate_runs_one_statement() -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    outcome_of(event, svix_id=svix_id)
    assert len(list_statements(event, svix_id=svix_id)) == 1


def test_ignored_event_runs_one_statement() -> None:
    assert len(list_statements(envelope("session.created", {}))) == 1


# Failures


@pytest.fixture
def failures() -> Iterator[list[dict[str, Any]]]:
    """Record each `sync_failed`, and whether it was sent inside a transaction."""
    recorded: list[dict[str, Any]] = []

    def receive(sender: object, signal: object, **failure: Any) -> None:
        recorded.append(failure | {"sender": sender, "in_transaction": connection.in_atomic_block})

    sync_failed.connect(receive)
    yield recorded
    sync_failed.disconnect(receive)


@pytest.mark.postgresql
def test_database_error_is_503_and_the_repeat_has_one_effect(
    failures: list[dict[str, Any]],
) -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with trigger("RAISE EXCEPTION 'the disk is full'"):
        response = deliver(event, svix_id=svix_id)
        assert (response.status_code, code_of(response)) == (503, "sync_unavailable")
        assert int(response["Retry-After"]) > 0
        assert deliver(event, svix_id=svix_id).status_code == 503
    assert not User.objects.exists()
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("failed", "database_error", 2)
    assert failures == [DATABASE_FAILURE] * 2

    assert outcome_of(event, svix_id=svix_id) == "created"
    assert outcome_of(event, svix_id=svix_id) == "duplicate"
    entry.refresh_from_db()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("created", "", 4)
    assert User.objects.count() == 1


@pytest.mark.postgresql
def test_failed_event_can_become_unchanged() -> None:
    data, svix_id = user_data(updated_at=now() - HOUR_MS), next_id()
    outcome_of(envelope("user.created", data))
    event = envelope("user.updated", data | {"first_name": "Augusta", "updated_at": now()})
    with trigger("RAISE EXCEPTION 'no'"):
        deliver(event, svix_id=svix_id)
    outcome_of(event)
    assert outcome_of(event, svix_id=svix_id) == "unchanged"
    assert WebhookEvent.objects.get(svix_id=svix_id).outcome == "unchanged"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "lock",
    [
        "LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE",
        f"SELECT pg_advisory_xact_lock({lock_key('user_1')})",
    ],
    ids=["table", "user"],
)
def test_lock_timeout_is_503_with_its_own_code(lock: LiteralString) -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with psycopg.connect(address()) as other:
        other.execute(lock)
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code) == ("failed", "lock_timeout")
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
def test_code_is_that_of_the_last_failure() -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with trigger("RAISE EXCEPTION 'no'"):
        deliver(event, svix_id=svix_id)
    with trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'lock_not_available'"):
        deliver(event, svix_id=svix_id)
    assert WebhookEvent.objects.get().error_code == "lock_timeout"


@pytest.mark.postgresql
def test_wait_for_a_parallel_delivery_is_bounded() -> None:
    unbounded = "IF current_setting('lock_timeout') = '0' THEN RAISE EXCEPTION 'no'; END IF"
    with trigger(unbounded, table="webhooks_webhookevent"):
        assert outcome_of(envelope("session.created", {})) == "ignored"


def test_unexpected_error_is_503_and_logged_by_class(
    caplog: pytest.LogCaptureFixture, failures: list[dict[str, Any]]
) -> None:
    event, svix_id = envelope("user.created", user_data(first_name="canary-0b7e")), next_id()

    def fail(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT INTO") and "accounts_user" in sql:
            raise LookupError(rest)
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code) == ("failed", "unexpected_error")
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]
    lines = [record for record in caplog.records if "webhooks." in record.name]
    logged = [(record.getMessage(), record.levelname, getattr(record, "error", None)) for record in lines]
    assert ("Unexpected error in a webhook handler", "ERROR", "LookupError") in logged
    assert "canary-0b7e" not in "".join(repr(vars(record)) for record in caplog.records)
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
def test_unwritable_ledger_is_503_and_reported(
    caplog: pytest.LogCaptureFixture, failures: list[dict[str, Any]], record_signal: RecordSignal
) -> None:
    received = record_signal(webhook_received)
    with trigger("RAISE EXCEPTION 'no'", table="webhooks_webhookevent"):
        response = deliver(envelope("user.created", user_data()), svix_id="msg_failed")
    assert code_of(response) == "sync_unavailable"
    assert not WebhookEvent.objects.exists()
    [event] = received
    assert (event["sender"], event["event_type"], event["outcome"]) == (
        WebhookEvent,
        "user.created",
        "failed",
    )
    assert failures == [DATABASE_FAILURE]
    [line] = [record for record in caplog.records if record.name == "webhooks.handlers"]
    assert (line.getMessage(), line.levelname) == ("Webhook event handled", "ERROR")
    names = ("svix_id", "event_type", "clerk_id", "outcome", "error_code")
    expected = ["msg_failed", "user.created", "user_1", "failed", "database_error"]
    assert [getattr(line, name) for name in names] == expected


@pytest.mark.postgresql
def test_lost_connection_is_503_and_recorded() -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with trigger("PERFORM pg_terminate_backend(pg_backend_pid())"):
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    assert WebhookEvent.objects.get().outcome == "failed"
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
@pytest.mark.own_session
def test_dead_connection_is_replaced() -> None:
    outcome_of(envelope("session.created", {}))
    with psycopg.connect(address(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    assert outcome_of(envelope("user.created", user_data())) == "created"


@pytest.mark.postgresql
def test_ledger_and_log_have_no_database_error_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    canary = "canary-51c0"
    with caplog.at_level(logging.DEBUG), trigger("RAISE EXCEPTION 'row holds %', NEW.first_name"):
        deliver(envelope("user.created", user_data(first_name=canary)))
    assert canary not in repr(list(WebhookEvent.objects.values()))
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    assert canary not in "".join(repr(vars(record)) for record in lines)
