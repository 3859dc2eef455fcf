"""One effect per event: repeats, their price, and failures in the middle. Transactions are real here."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.deliveries import code_of, deliver, envelope, next_id, now, outcome_of, person
from tests.webhooks.trouble import address, trigger
from webhooks.models import WebhookEvent
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = 3_600_000
TRANSACTION = ("BEGIN", "COMMIT", "SET LOCAL")
DELETION = {"id": "user_1", "object": "user", "deleted": True}


def count_statements(event: object) -> list[str]:
    """Deliver and give the statements but those that only frame the transaction."""
    with CaptureQueriesContext(connection) as captured:
        outcome_of(event)
    return [query["sql"] for query in captured if not query["sql"].startswith(TRANSACTION)]


# Repeats


@pytest.mark.postgresql
def test_a_database_that_never_says_a_word_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        connection.close()
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "connect_timeout", 2)
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", mute.getsockname()[1])
        began = time.monotonic()
        assert code_of(deliver(envelope("user.created", person()))) == "sync_unavailable"
        assert 1.5 < time.monotonic() - began < 3.5
        connection.close()


def test_the_same_event_five_times_has_one_effect() -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    outcomes = [outcome_of(event, svix_id=svix_id) for _ in range(5)]
    assert outcomes == ["created", *["duplicate"] * 4]
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.attempts) == ("created", 5)


@pytest.mark.parametrize(
    ("kind", "data", "outcome"),
    [
        ("session.created", {}, "ignored"),
        ("user.updated", {"id": None}, "rejected"),
        ("user.deleted", DELETION, "deleted"),
    ],
)
def test_a_repeat_keeps_the_first_outcome(kind: str, data: object, outcome: str) -> None:
    svix_id = next_id()
    assert outcome_of(envelope(kind, data), svix_id=svix_id) == outcome
    assert outcome_of(envelope(kind, data), svix_id=svix_id) == "duplicate"
    assert WebhookEvent.objects.get().outcome == outcome


def test_a_repeat_of_an_unchanged_event_is_a_duplicate() -> None:
    data, svix_id = person(), next_id()
    outcome_of(envelope("user.created", data))
    assert outcome_of(envelope("user.updated", data), svix_id=svix_id) == "unchanged"
    assert outcome_of(envelope("user.updated", data), svix_id=svix_id) == "duplicate"


def test_another_body_under_the_id_of_a_done_event_has_no_effect() -> None:
    svix_id = next_id()
    outcome_of(envelope("user.created", person()), svix_id=svix_id)
    assert outcome_of(envelope("user.updated", person("user_2")), svix_id=svix_id) == "duplicate"
    assert not User.objects.filter(clerk_id="user_2").exists()


# The price


@pytest.mark.postgresql
@pytest.mark.parametrize("later", [0, 1000], ids=["same version", "newer version"])
def test_an_unchanged_delivery_takes_four_statements_at_most(later: int) -> None:
    moment = now() - HOUR
    outcome_of(envelope("user.created", person(updated_at=moment)))
    statements = count_statements(envelope("user.updated", person(updated_at=moment + later)))
    assert WebhookEvent.objects.latest("pk").outcome == "unchanged"
    assert len(statements) <= 4, statements
    assert not [sql for sql in statements if "SAVEPOINT" in sql]


def test_a_duplicate_takes_one_statement() -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    outcome_of(event, svix_id=svix_id)
    with CaptureQueriesContext(connection) as captured:
        outcome_of(event, svix_id=svix_id)
    assert len([query for query in captured if not query["sql"].startswith(TRANSACTION)]) == 1


def test_an_event_of_another_type_takes_one_statement() -> None:
    assert len(count_statements(envelope("session.created", {}))) == 1


# Failures


@pytest.fixture
def failures() -> Iterator[list[dict[str, Any]]]:
    """Collect the failures that are told, and whether a transaction was open then."""
    told: list[dict[str, Any]] = []

    def receive(sender: object, signal: object, **failure: Any) -> None:
        told.append(failure | {"inside": connection.in_atomic_block})

    sync_failed.connect(receive)
    yield told
    sync_failed.disconnect(receive)


@pytest.mark.postgresql
def test_a_database_error_in_the_middle_is_503_and_the_repeat_has_the_one_effect(
    failures: list[dict[str, Any]],
) -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    with trigger("RAISE EXCEPTION 'the disk is full'"):
        response = deliver(event, svix_id=svix_id)
        assert (response.status_code, code_of(response)) == (503, "sync_unavailable")
        assert int(response["Retry-After"]) > 0
        assert deliver(event, svix_id=svix_id).status_code == 503
    assert not User.objects.exists()
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("failed", "database_error", 2)
    failure = {"clerk_id": "user_1", "source": "webhook", "reason": "database_error", "inside": False}
    assert failures == [failure] * 2

    assert outcome_of(event, svix_id=svix_id) == "created"
    assert outcome_of(event, svix_id=svix_id) == "duplicate"
    entry.refresh_from_db()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("created", "", 4)
    assert User.objects.count() == 1


@pytest.mark.postgresql
def test_a_failed_event_whose_repeat_changes_nothing_ends_unchanged() -> None:
    data, svix_id = person(updated_at=now() - HOUR), next_id()
    outcome_of(envelope("user.created", data))
    event = envelope("user.updated", data | {"first_name": "Augusta", "updated_at": now()})
    with trigger("RAISE EXCEPTION 'no'"):
        deliver(event, svix_id=svix_id)
    outcome_of(event)
    assert outcome_of(event, svix_id=svix_id) == "unchanged"
    assert WebhookEvent.objects.get(svix_id=svix_id).outcome == "unchanged"


@pytest.mark.postgresql
def test_a_person_locked_for_long_is_503_with_its_own_reason() -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    with psycopg.connect(address()) as other:
        other.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE")
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code) == ("failed", "lock_timeout")
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
def test_the_reason_is_that_of_the_last_failure() -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    with trigger("RAISE EXCEPTION 'no'"):
        deliver(event, svix_id=svix_id)
    with trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'lock_not_available'"):
        deliver(event, svix_id=svix_id)
    assert WebhookEvent.objects.get().error_code == "lock_timeout"


@pytest.mark.postgresql
def test_the_wait_for_a_parallel_delivery_of_the_same_event_is_bounded() -> None:
    unbounded = "IF current_setting('lock_timeout') = '0' THEN RAISE EXCEPTION 'no'; END IF"
    with trigger(unbounded, table="webhooks_webhookevent"):
        assert outcome_of(envelope("session.created", {})) == "ignored"


def test_a_bug_of_ours_is_503_and_named_without_its_words(
    caplog: pytest.LogCaptureFixture, failures: list[dict[str, Any]]
) -> None:
    event, svix_id = envelope("user.created", person(first_name="canary-0b7e")), next_id()

    def stumble(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT INTO") and "accounts_user" in sql:
            raise LookupError(rest)
        return execute(sql, *rest)

    with connection.execute_wrapper(stumble):
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code) == ("failed", "unexpected_error")
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]
    lines = [record for record in caplog.records if record.name.startswith("webhooks")]
    told = [(record.getMessage(), record.levelname, getattr(record, "error", None)) for record in lines]
    assert ("Webhook handler broke", "ERROR", "LookupError") in told
    assert "canary-0b7e" not in "".join(repr(vars(record)) for record in caplog.records)
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
def test_a_ledger_that_cannot_be_written_is_503_and_told_all_the_same(
    caplog: pytest.LogCaptureFixture, failures: list[dict[str, Any]]
) -> None:
    heard: list[tuple[object, object]] = []

    def listen(sender: object, event_type: str, outcome: str, **_: object) -> None:
        heard.append((sender, (event_type, outcome)))

    def listen_too(sender: object, **_: object) -> None:
        heard.append((sender, "failure"))

    webhook_received.connect(listen)
    sync_failed.connect(listen_too)
    try:
        with trigger("RAISE EXCEPTION 'no'", table="webhooks_webhookevent"):
            assert (
                code_of(deliver(envelope("user.created", person()), svix_id="msg_lost")) == "sync_unavailable"
            )
    finally:
        webhook_received.disconnect(listen)
        sync_failed.disconnect(listen_too)
    assert not WebhookEvent.objects.exists()
    assert heard == [(WebhookEvent, ("user.created", "failed")), (WebhookEvent, "failure")]
    facts = {"clerk_id": "user_1", "source": "webhook", "reason": "database_error"}
    assert failures == [{**facts, "inside": False}]
    (line,) = [record for record in caplog.records if record.name == "webhooks.handlers"]
    assert (line.getMessage(), line.levelname) == ("Webhook event handled", "ERROR")
    names = ("svix_id", "event_type", "clerk_id", "outcome", "error_code")
    expected = ["msg_lost", "user.created", "user_1", "failed", "database_error"]
    assert [getattr(line, name) for name in names] == expected


@pytest.mark.postgresql
def test_a_connection_that_dies_in_the_middle_is_503_and_still_leaves_its_mark() -> None:
    event, svix_id = envelope("user.created", person()), next_id()
    with trigger("PERFORM pg_terminate_backend(pg_backend_pid())"):
        assert code_of(deliver(event, svix_id=svix_id)) == "sync_unavailable"
    assert WebhookEvent.objects.get().outcome == "failed"
    assert outcome_of(event, svix_id=svix_id) == "created"


@pytest.mark.postgresql
@pytest.mark.own_session
def test_a_connection_found_dead_is_replaced_without_a_word() -> None:
    outcome_of(envelope("session.created", {}))
    with psycopg.connect(address(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    assert outcome_of(envelope("user.created", person())) == "created"


@pytest.mark.postgresql
def test_the_words_of_a_failing_database_reach_neither_ledger_nor_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    canary = "canary-51c0"
    with caplog.at_level(logging.DEBUG), trigger("RAISE EXCEPTION 'row holds %', NEW.first_name"):
        deliver(envelope("user.created", person(first_name=canary)))
    assert canary not in repr(list(WebhookEvent.objects.values()))
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    assert canary not in "".join(repr(vars(record)) for record in lines)
