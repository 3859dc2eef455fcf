"""What handlers leave to `transaction.on_commit`."""

from __future__ import annotations

import sys

import pytest
from django.db import transaction

from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import deliver, envelope, next_id, outcome_of
from tests.webhooks.handler_cases import DATA, TYPE, Trouble
from webhooks import ClerkEvent, on
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_callback_that_exits_does_not_end_the_worker(record_signal: RecordSignal) -> None:
    failures = record_signal(sync_failed)

    @on(TYPE)
    def later(event: ClerkEvent) -> None:
        transaction.on_commit(lambda: sys.exit(1))

    assert outcome_of(envelope(TYPE, DATA)) == "handled"
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]


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


def test_callback_that_fails_is_reported_and_the_event_stays_handled(
    record_signal: RecordSignal, caplog: pytest.LogCaptureFixture
) -> None:
    failures = record_signal(sync_failed)

    def fail() -> None:
        raise LookupError

    @on(TYPE)
    def later(event: ClerkEvent) -> None:
        transaction.on_commit(fail)

    svix_id, event = next_id(), envelope(TYPE, DATA)
    assert outcome_of(event, svix_id=svix_id) == "handled"
    assert failures == [
        {"sender": WebhookEvent, "clerk_id": None, "source": "webhook", "reason": "unexpected_error"}
    ]
    assert "Unexpected error after the commit of webhook handlers" in caplog.messages
    assert outcome_of(event, svix_id=svix_id) == "duplicate"
