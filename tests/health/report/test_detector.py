from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import CreatedVia, SyncRun
from health.report.detector import MissedWebhooks, count_missed_webhooks
from tests.health.rows import HOUR, MINUTE, event, new_user, run

pytestmark = pytest.mark.django_db
NOW = timezone.now()
FIRST_WEBHOOK = NOW - timedelta(days=30)


@pytest.fixture
def adopted() -> None:
    """Create a webhook and a finished backfill of a month ago."""
    event("user_first", at=FIRST_WEBHOOK)
    run(at=FIRST_WEBHOOK)


def missed() -> MissedWebhooks | None:
    return count_missed_webhooks(now=NOW)


@pytest.mark.usefixtures("adopted")
def test_new_user_without_a_webhook_counts() -> None:
    new_user(at=NOW - HOUR)
    assert missed() == MissedWebhooks(count=1, share=1.0)


@pytest.mark.usefixtures("adopted")
def test_new_user_with_a_webhook_does_not_count() -> None:
    new_user("user_a", at=NOW - HOUR)
    event("user_a", at=NOW - HOUR + timedelta(seconds=3))
    assert missed() == MissedWebhooks(count=0, share=0.0)


@pytest.mark.usefixtures("adopted")
def test_share_is_of_the_users_who_should_have_a_webhook() -> None:
    for number in range(4):
        new_user(f"user_{number}", at=NOW - HOUR)
    for number in range(3):
        event(f"user_{number}", at=NOW - HOUR)
    new_user("user_by_webhook", at=NOW - HOUR, via=CreatedVia.WEBHOOK)
    assert missed() == MissedWebhooks(count=1, share=0.25)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("via", [CreatedVia.WEBHOOK, CreatedVia.BACKFILL, CreatedVia.LOCAL])
def test_users_not_created_by_a_request_do_not_count(via: str) -> None:
    new_user(at=NOW - HOUR, via=via)
    assert missed() == MissedWebhooks(count=0, share=0.0)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize(
    ("created_at", "count"),
    [
        (NOW - 9 * MINUTE, 0),
        (NOW - 11 * MINUTE, 1),
        (NOW - 23 * HOUR, 1),
        (NOW - 25 * HOUR, 0),
    ],
    ids=["may still come", "should have come", "earlier today", "longer than a day ago"],
)
def test_last_day_counts_except_its_last_minutes(created_at: datetime, count: int) -> None:
    new_user(at=created_at)
    assert missed() == MissedWebhooks(count=count, share=float(count))


@pytest.mark.usefixtures("adopted")
def test_minutes_to_wait_are_a_setting(settings: Settings) -> None:
    settings.HEALTH_MISSED_WEBHOOK_MINUTES = 0.05
    new_user(at=NOW - timedelta(seconds=4))
    assert missed() == MissedWebhooks(count=1, share=1.0)


@pytest.mark.usefixtures("adopted")
def test_new_row_of_a_locally_deleted_user_does_not_count() -> None:
    new_user("user_a", at=NOW - 40 * HOUR, deleted_at=NOW - 30 * HOUR, deleted_by="local")
    new_user("user_a", at=NOW - HOUR)
    assert missed() == MissedWebhooks(count=0, share=0.0)


def test_result_is_none_before_the_first_webhook() -> None:
    run(at=FIRST_WEBHOOK)
    new_user(at=NOW - HOUR)
    assert missed() is None


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (SyncRun.Kind.RECONCILE, SyncRun.Status.DONE),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.RUNNING),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.FAILED),
    ],
)
def test_result_is_none_before_the_first_finished_backfill(kind: str, status: str) -> None:
    event(at=FIRST_WEBHOOK)
    run(at=FIRST_WEBHOOK, kind=kind, status=status)
    new_user(at=NOW - HOUR)
    assert missed() is None


@pytest.mark.parametrize("webhook_first", [True, False])
def test_users_created_before_webhook_and_backfill_do_not_count(*, webhook_first: bool) -> None:
    early, late = NOW - 3 * HOUR, NOW - HOUR
    event(at=early if webhook_first else late)
    run(at=late if webhook_first else early)
    new_user(at=NOW - 2 * HOUR)
    assert missed() == MissedWebhooks(count=0, share=0.0)
