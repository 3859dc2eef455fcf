from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY

from accounts.signals import authentication_decided, page_synced, sync_failed, user_synced
from health.models import SyncFailure
from health.recorder import PAUSE_SECONDS, recorder
from tests.clock import Clock
from tests.health.conftest import Away
from tests.health.rows import failures
from tests.webhooks.handler_cases import temporary_handlers
from webhooks import ClerkEvent, on
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def fail(clerk_id: str | None = "user_a", *, reason: str = "unusable_field:email") -> None:
    sync_failed.send_robust(None, clerk_id=clerk_id, source="request", reason=reason)


def succeed(clerk_id: str = "user_a", *, outcome: str = "unchanged") -> None:
    user_synced.send_robust(None, clerk_id=clerk_id, source="request", outcome=outcome)


def test_failure_is_recorded_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    labels = {"source": "request", "reason": "unusable_field:email"}
    before = counted("clerk_sync_failures_total", **labels)
    with caplog.at_level(logging.INFO):
        fail()
    (record,) = [each for each in caplog.records if each.name == "health.receivers"]
    assert (record.getMessage(), record.__dict__["clerk_id"], record.__dict__["outcome"]) == (
        "Sync failed",
        "user_a",
        "failed",
    )
    assert counted("clerk_sync_failures_total", **labels) == before + 1
    assert SyncFailure.objects.open().get().clerk_id == "user_a"


@pytest.mark.parametrize("outcome", ["updated", "unchanged", "stale", "deleted"])
def test_any_success_closes_the_failures_of_the_user(outcome: str) -> None:
    fail()
    fail(reason="unusable_profile")
    succeed(outcome=outcome)
    assert not SyncFailure.objects.open().exists()


def test_success_closes_failure_of_another_process() -> None:
    SyncFailure.objects.record([failures("user_a", at=NOW)], now=NOW)
    succeed()
    assert not SyncFailure.objects.open().exists()


def test_success_closes_no_failure_of_others_and_no_outage() -> None:
    fail("user_b")
    fail(None, reason="lock_timeout")
    succeed()
    assert SyncFailure.objects.open().count() == 2


@pytest.mark.parametrize(("source", "statements"), [("request", 1), ("api", 1), ("webhook", 0)])
def test_success_costs_at_most_one_statement(source: str, statements: int) -> None:
    with CaptureQueriesContext(connection) as captured:
        user_synced.send_robust(None, clerk_id="user_a", source=source, outcome="unchanged")
    framing = ("BEGIN", "COMMIT", "SET LOCAL")
    assert len([each for each in captured if not each["sql"].startswith(framing)]) == statements


def test_page_of_successes_closes_its_failures_with_one_update() -> None:
    for clerk_id in ("user_a", "user_b", "user_c"):
        fail(clerk_id)
    before = counted("clerk_syncs_total", source="backfill", outcome="unchanged")
    outcomes = {"user_a": "unchanged", "user_b": "unchanged", "user_d": "created"}
    with CaptureQueriesContext(connection) as captured:
        page_synced.send_robust(None, source="backfill", outcomes=outcomes)
    assert [row.clerk_id for row in SyncFailure.objects.open()] == ["user_c"]
    assert len([each for each in captured if each["sql"].startswith("UPDATE")]) == 1
    assert counted("clerk_syncs_total", source="backfill", outcome="unchanged") == before + 2


@pytest.mark.postgresql
def test_pending_failures_are_written_after_the_next_response(
    away: Away, client: Client, recorder_clock: Clock
) -> None:
    with away():
        fail(None, reason="database_error")
        assert client.get("/health/live").status_code == 200
    recorder_clock.now += PAUSE_SECONDS
    client.get("/health/live")
    assert SyncFailure.objects.get().reason == "database_error"


def test_pending_failure_opens_no_row_after_the_success() -> None:
    recorder.record(clerk_id="user_a", source="request", reason="unusable_field:email", at=NOW)
    SyncFailure.objects.all().delete()
    recorder.record(clerk_id="user_a", source="request", reason="unusable_field:email", at=NOW)
    succeed()
    recorder.flush(now=NOW, force=True)
    assert not SyncFailure.objects.open().exists()


def test_authentication_costs_no_statement(django_assert_num_queries: Any) -> None:
    before = counted("clerk_authentications_total", outcome="ok")
    with django_assert_num_queries(0):
        authentication_decided.send(None, outcome="ok")
    assert counted("clerk_authentications_total", outcome="ok") == before + 1


def test_undecided_unknown_keys_are_counted_apart() -> None:
    labels = ("keys_unavailable", "unknown_key")
    before = [counted("clerk_authentications_total", outcome=label) for label in labels]
    authentication_decided.send(None, outcome="keys_unavailable", is_unknown_key=True)
    after = [counted("clerk_authentications_total", outcome=label) for label in labels]
    assert after == [before[0], before[1] + 1]


@pytest.mark.postgresql
def test_receivers_raise_nothing_while_the_database_is_down(away: Away) -> None:
    with away():
        answers = [
            *sync_failed.send_robust(None, clerk_id="user_a", source="request", reason="database_error"),
            *user_synced.send_robust(None, clerk_id="user_a", source="request", outcome="updated"),
        ]
    assert [answer for _, answer in answers if isinstance(answer, Exception)] == []


@pytest.mark.parametrize(
    ("sent", "label"),
    [("user.created", "user.created"), ("session.created", "other"), ("../../anything", "other")],
)
def test_unknown_types_of_events_share_one_series(sent: str, label: str) -> None:
    before = counted("clerk_webhook_events_total", type=label, outcome="ignored")
    webhook_received.send_robust(None, event_type=sent, outcome="ignored", lag_seconds=1.0)
    assert counted("clerk_webhook_events_total", type=label, outcome="ignored") == before + 1
    assert counted("clerk_webhook_events_total", type=sent, outcome="ignored") == (
        before + 1 if sent == label else 0
    )


def test_type_with_a_handler_has_its_own_series() -> None:
    sent = "organization.created"
    before = counted("clerk_webhook_events_total", type=sent, outcome="handled")

    with temporary_handlers():

        @on(sent)
        def handle(event: ClerkEvent) -> None:
            pass

        webhook_received.send_robust(None, event_type=sent, outcome="handled", lag_seconds=1.0)
    assert counted("clerk_webhook_events_total", type=sent, outcome="handled") == before + 1


@pytest.mark.parametrize(("outcome", "observed"), [("updated", 1), ("duplicate", 0)])
def test_only_first_delivery_counts_for_the_lag(outcome: str, observed: int) -> None:
    before = counted("clerk_webhook_lag_seconds_count")
    webhook_received.send_robust(None, event_type="user.updated", outcome=outcome, lag_seconds=2.0)
    assert counted("clerk_webhook_lag_seconds_count") == before + observed
