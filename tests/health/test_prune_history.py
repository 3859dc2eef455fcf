from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import SyncRun
from health.detector import find_missed
from health.management.commands import prune_history
from health.models import SyncFailure
from tests.health.conftest import Away
from tests.health.rows import HOUR, event, failures, person, run
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
OLD = NOW - timedelta(days=40)
RECENT = NOW - timedelta(days=20)


@pytest.fixture(autouse=True)
def history() -> None:
    for at in (OLD - HOUR, OLD, RECENT):
        event(at=at)
        run(at=at)
        SyncFailure.objects.record([failures("user_a", at=at)], now=at)
        SyncFailure.objects.close_for(["user_a"], at=at)
    SyncFailure.objects.record([failures("user_open", at=OLD)], now=OLD)


def prune(*arguments: str) -> str:
    output = StringIO()
    call_command("prune_history", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def rows() -> tuple[int, int, int]:
    return WebhookEvent.objects.count(), SyncFailure.objects.count(), SyncRun.objects.count()


def test_what_is_over_and_old_goes() -> None:
    assert prune("--older-than", "30").splitlines() == [
        "deleted 1 webhook events",
        "deleted 2 closed failures",
        "deleted 2 finished runs",
    ]
    assert rows() == (2, 2, 1)


def test_an_open_failure_stays_however_old_it_is() -> None:
    prune("--older-than", "30")
    assert SyncFailure.objects.open().get().clerk_id == "user_open"


def test_a_dry_run_tells_the_same_and_deletes_nothing() -> None:
    before = rows()
    assert prune("--older-than", "30", "--dry-run").splitlines()[0] == "would delete 1 webhook events"
    assert rows() == before


def test_a_second_run_finds_nothing() -> None:
    prune("--older-than", "30")
    assert "deleted 0 webhook events" in prune("--older-than", "30")


def test_more_rows_than_a_batch_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_history, "BATCH", 2)
    for _ in range(5):
        event(at=OLD)
    assert "deleted 6 webhook events" in prune("--older-than", "30")


def test_the_detector_still_sees_that_webhooks_are_dead_after_everything_old_was_pruned() -> None:
    person(at=NOW - HOUR)
    prune("--older-than", "1")
    missed = find_missed(now=NOW)
    assert missed is not None
    assert missed.count == 1


@pytest.mark.parametrize("days", ["0", "-1", "99999999"])
def test_a_span_that_makes_no_sense_is_refused(days: str) -> None:
    before = rows()
    with pytest.raises(SystemExit) as ended:
        prune("--older-than", days)
    assert (ended.value.code, rows()) == (2, before)


@pytest.mark.postgresql
def test_without_the_database_the_exit_is_2(away: Away) -> None:
    ended: Any
    with away(), pytest.raises(SystemExit) as ended:
        call_command("prune_history", "--older-than", "30", stderr=StringIO(), skip_checks=True)
    assert ended.value.code == 2
