"""One bulk run of a kind at a time, and its row."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.bulk.runs import AlreadyRunning, record_run, single_run
from accounts.models import SyncRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_run_can_start_immediately_after_another() -> None:
    for _ in range(100):
        with single_run(SyncRun.Kind.RECONCILE):
            pass


def test_failed_run_releases_the_lock() -> None:
    for _ in range(100):
        with pytest.raises(ZeroDivisionError), single_run(SyncRun.Kind.RECONCILE):
            raise ZeroDivisionError


@pytest.mark.postgresql
def test_second_run_of_a_kind_is_refused() -> None:
    with single_run(SyncRun.Kind.RECONCILE):
        with pytest.raises(AlreadyRunning), single_run(SyncRun.Kind.RECONCILE):
            pass
        with single_run(SyncRun.Kind.BACKFILL):
            pass


def test_killed_run_does_not_stay_running() -> None:
    killed = SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL)
    other = SyncRun.objects.create(kind=SyncRun.Kind.RECONCILE)
    run = SyncRun(kind=SyncRun.Kind.BACKFILL)
    with record_run(run, clock=timezone.now):
        pass
    for each in (killed, other, run):
        each.refresh_from_db()
    assert (killed.status, other.status, run.status) == ("interrupted", "running", "done")
    assert killed.finished_at is not None
