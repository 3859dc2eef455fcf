"""Deliveries with a good signature that are refused: visible, since only Clerk can send them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import Settings

from health.models import SyncFailure
from health.report.build import build_report
from tests.health.rows import MINUTE
from tests.webhooks.deliveries import INSTANCE, SECRET, deliver, envelope, user_data
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)
CASES: dict[str, Any] = {
    "wrong_instance": envelope("user.created", user_data(first_name="Ada"), instance_id="ins_other"),
    "malformed_event": b'{"data": {"first_name": "Ada"}}',
}


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    settings.CLERK_INSTANCE_ID = INSTANCE
    settings.HEALTH_TOKEN = "a token of the monitoring"


@pytest.mark.parametrize("code", CASES)
def test_a_refused_genuine_delivery_degrades_the_report_and_is_counted(code: str, client: Client) -> None:
    labels = {"source": "webhook", "reason": code}
    before = REGISTRY.get_sample_value("clerk_sync_failures_total", labels) or 0
    for _ in range(3):
        assert deliver(CASES[code]).status_code == 400

    report = client.get("/health/sync", headers={"Authorization": "Bearer a token of the monitoring"}).json()

    assert report["status"] == "degraded"
    (reason,) = report["reasons"]
    assert reason["code"] == code
    assert "Clerk's dashboard" in reason["next_step"]
    assert report["failures"]["by_reason"] == {code: 1}
    assert REGISTRY.get_sample_value("clerk_sync_failures_total", labels) == before + 3
    failure = SyncFailure.objects.get()
    assert (failure.clerk_id, failure.count) == (None, 3)
    assert not WebhookEvent.objects.exists()


def test_after_15_quiet_minutes_it_is_a_note_for_a_day() -> None:
    for _ in range(3):
        deliver(CASES["wrong_instance"])
    now = timezone.now()

    built = build_report(now=now + 16 * MINUTE)

    assert built.status == "ok"
    assert built.as_dict()["webhooks"].keys() == {
        "state",
        "last_received_at",
        "lag_seconds",
        "rejected",
        "missed",
    }
    (note,) = [note for note in built.notes if note.code == "wrong_instance"]
    assert note.detail == "Genuine deliveries of the last day that were refused as wrong_instance: 3."
    later = build_report(now=now + timedelta(days=1, minutes=20))
    assert "wrong_instance" not in {note.code for note in later.notes}


@pytest.mark.parametrize("body", [json.dumps(CASES["wrong_instance"]), "{}"])
def test_a_delivery_without_a_good_signature_is_not_recorded(body: str, client: Client) -> None:
    headers = {"svix-id": "msg_1", "svix-timestamp": "1700000000", "svix-signature": "v1,AAAA"}

    answer = client.post("/webhooks/clerk", body, content_type="application/json", headers=headers)

    assert answer.json()["errors"][0]["code"] == "invalid_signature"
    assert build_report(now=timezone.now()).status == "ok"
