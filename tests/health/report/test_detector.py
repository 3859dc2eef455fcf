from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import CreatedVia, SyncRun
from health.report.detector import Missed, find_missed
from tests.health.rows import HOUR, MINUTE, event, person, run

pytestmark = pytest.mark.django_db
NOW = timezone.now()
FIRST_WEBHOOK = NOW - timedelta(days=30)


@pytest.fixture
def adopted() -> None:
    """Webhooks have come and a backfill has finished, a month ago."""
    event("user_first", at=FIRST_WEBHOOK)
    run(at=FIRST_WEBHOOK)


def missed() -> Missed | None:
    return find_missed(now=NOW)


@pytest.mark.usefixtures("adopted")
def test_a_new_person_without_a_webhook_is_missed() -> None:
    person(at=NOW - HOUR)
    assert missed() == Missed(count=1, share=1.0)


@pytest.mark.usefixtures("adopted")
def test_a_new_person_with_a_webhook_is_not() -> None:
    person("user_a", at=NOW - HOUR)
    event("user_a", at=NOW - HOUR + timedelta(seconds=3))
    assert missed() == Missed(count=0, share=0.0)


@pytest.mark.usefixtures("adopted")
def test_the_share_is_of_those_who_were_owed_one() -> None:
    for number in range(4):
        person(f"user_{number}", at=NOW - HOUR)
    for number in range(3):
        event(f"user_{number}", at=NOW - HOUR)
    person("user_brought", at=NOW - HOUR, via=CreatedVia.WEBHOOK)
    assert missed() == Missed(count=1, share=0.25)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize("via", [CreatedVia.WEBHOOK, CreatedVia.BACKFILL, CreatedVia.LOCAL])
def test_people_who_were_not_met_in_a_request_are_owed_nothing(via: str) -> None:
    person(at=NOW - HOUR, via=via)
    assert missed() == Missed(count=0, share=0.0)


@pytest.mark.usefixtures("adopted")
@pytest.mark.parametrize(
    ("born", "count"),
    [
        (NOW - 9 * MINUTE, 0),
        (NOW - 11 * MINUTE, 1),
        (NOW - 23 * HOUR, 1),
        (NOW - 25 * HOUR, 0),
    ],
    ids=["may still come", "should have come", "earlier today", "longer than a day ago"],
)
def test_the_last_day_counts_except_its_last_minutes(born: datetime, count: int) -> None:
    person(at=born)
    assert missed() == Missed(count=count, share=float(count))


@pytest.mark.usefixtures("adopted")
def test_the_patience_is_a_setting(settings: Settings) -> None:
    settings.HEALTH_MISSED_WEBHOOK_MINUTES = 0.05
    person(at=NOW - timedelta(seconds=4))
    assert missed() == Missed(count=1, share=1.0)


@pytest.mark.usefixtures("adopted")
def test_a_fresh_row_of_somebody_deleted_here_is_owed_nothing() -> None:
    person("user_a", at=NOW - 40 * HOUR, deleted_at=NOW - 30 * HOUR, deleted_by="local")
    person("user_a", at=NOW - HOUR)
    assert missed() == Missed(count=0, share=0.0)


def test_before_the_first_webhook_there_is_no_telling() -> None:
    run(at=FIRST_WEBHOOK)
    person(at=NOW - HOUR)
    assert missed() is None


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (SyncRun.Kind.RECONCILE, SyncRun.Status.DONE),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.RUNNING),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.FAILED),
    ],
)
def test_before_the_first_finished_backfill_there_is_no_telling(kind: str, status: str) -> None:
    event(at=FIRST_WEBHOOK)
    run(at=FIRST_WEBHOOK, kind=kind, status=status)
    person(at=NOW - HOUR)
    assert missed() is None


@pytest.mark.parametrize("webhook_first", [True, False])
def test_people_met_before_both_were_there_are_owed_nothing(*, webhook_first: bool) -> None:
    early, late = NOW - 3 * HOUR, NOW - HOUR
    event(at=early if webhook_first else late)
    run(at=late if webhook_first else early)
    person(at=NOW - 2 * HOUR)
    assert missed() == Missed(count=0, share=0.0)
