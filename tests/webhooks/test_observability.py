"""Signals and logs of processed events."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from accounts.signals import sync_failed, user_synced
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import encoded, envelope, next_id, now, outcome_of, user_data
from webhooks.models import WebhookEvent
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db


def test_sender_of_signals_is_the_ledger(record_signal: RecordSignal) -> None:
    failures, events = record_signal(sync_failed), record_signal(webhook_received)
    outcome_of(envelope("user.updated", {"id": None}))
    assert [arguments["sender"] for arguments in failures + events] == [WebhookEvent, WebhookEvent]


def test_observers_are_notified_once_for_each_event(
    record_signal: RecordSignal, django_capture_on_commit_callbacks: Any
) -> None:
    synced, received = record_signal(user_synced), record_signal(webhook_received)
    with django_capture_on_commit_callbacks(execute=True):
        outcome_of(envelope("user.created", user_data(), at=now() - 10_000))
    assert [(user["clerk_id"], str(user["outcome"])) for user in synced] == [("user_1", "created")]
    [event] = received
    assert (event["event_type"], event["outcome"]) == ("user.created", "created")
    assert event["lag_seconds"] == pytest.approx(10, abs=2)


def test_observer_that_raises_does_not_affect_the_event() -> None:
    def raise_always(**_: object) -> None:
        raise RuntimeError

    webhook_received.connect(raise_always)
    try:
        assert outcome_of(envelope("user.created", user_data())) == "created"
    finally:
        webhook_received.disconnect(raise_always)


def test_each_event_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    svix_id = next_id()
    with caplog.at_level(logging.INFO, logger="webhooks.handlers"):
        outcome_of(envelope("user.created", user_data()), svix_id=svix_id)
    [record] = [record for record in caplog.records if "webhooks." in record.name]
    assert (record.getMessage(), record.levelname) == ("Webhook event handled", "INFO")
    extra = [getattr(record, name) for name in ("svix_id", "event_type", "clerk_id", "outcome")]
    assert extra == [svix_id, "user.created", "user_1", "created"]


def test_ledger_and_log_have_no_personal_data(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-7f3a"
    data = user_data(
        email=f"{canary}@example.test",
        first_name=canary,
        last_name=canary * 40,
        image_url=f"https://img.example.test/{canary}\x00",
        username=canary,
        external_id=canary,
        public_metadata={canary: canary},
    )
    with caplog.at_level(logging.DEBUG):
        for event_type in ("user.created", "user.updated", "user.deleted", "session.created"):
            outcome_of(envelope(event_type, data, event_attributes={"http_request": {"client_ip": canary}}))
            outcome_of(envelope(event_type, {"id": f"{canary}\x00"}))
        outcome_of(encoded(envelope("user.updated", [canary])))
    assert canary not in repr(list(WebhookEvent.objects.values()))
    # SQL itself is only logged in debug.
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    assert canary not in "".join(repr(vars(record)) for record in lines)
