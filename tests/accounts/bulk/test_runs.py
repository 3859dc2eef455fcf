"""One bulk run of a kind at a time."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.bulk.runs import AlreadyRunning, record_run, single_run
from accounts.models import SyncRun

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_run_may_follow_at_once_on_one_that_has_ended() -> None:
    for _ in range(100):
        with single_run(SyncRun.Kind.RECONCILE):
            pass


def test_a_run_that_failed_leaves_no_lock() -> None:
    for _ in range(100):
        with pytest.raises(ZeroDivisionError), single_run(SyncRun.Kind.RECONCILE):
            raise ZeroDivisionError


@pytest.mark.postgresql
def test_a_run_is_refused_while_another_of_its_kind_is_under_way() -> None:
    with single_run(SyncRun.Kind.RECONCILE):
        with pytest.raises(AlreadyRunning), single_run(SyncRun.Kind.RECONCILE):
            pass
        with single_run(SyncRun.Kind.BACKFILL):
            pass


def test_a_run_that_was_killed_before_its_first_page_does_not_say_running_for_ever() -> None:
    killed = SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL)
    other = SyncRun.objects.create(kind=SyncRun.Kind.RECONCILE)
    with record_run(SyncRun(kind=SyncRun.Kind.BACKFILL), clock=timezone.now) as run:
        pass
    for each in (killed, other, run):
        each.refresh_from_db()
    assert (killed.status, other.status, run.status) == ("interrupted", "running", "done")
    assert killed.finished_at is not None
