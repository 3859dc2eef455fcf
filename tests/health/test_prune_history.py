from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import SyncRun
from devclerk.fixtures import LocalClerk
from health.management.commands.prune_history import BATCH_ROWS
from health.models import SyncFailure
from health.report.detector import count_missed_webhooks
from health.report.facts import read_run
from tests.accounts import programs
from tests.health.conftest import Away
from tests.health.rows import HOUR, event, failures, new_user, run
from webhooks.models import EventOutcome, WebhookEvent

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


def test_old_ended_rows_are_deleted() -> None:
    assert prune("--older-than", "30").splitlines() == [
        "deleted 2 webhook events",
        "deleted 2 closed failures",
        "deleted 2 finished runs",
    ]
    assert rows() == (1, 2, 1)


def test_old_open_failure_stays() -> None:
    prune("--older-than", "30")
    assert SyncFailure.objects.open().get().clerk_id == "user_open"


def test_dry_run_prints_the_same_counts_and_deletes_nothing() -> None:
    before = rows()
    assert prune("--older-than", "30", "--dry-run").splitlines()[0] == "would delete 2 webhook events"
    assert rows() == before


def test_second_run_deletes_nothing() -> None:
    prune("--older-than", "30")
    assert "deleted 0 webhook events" in prune("--older-than", "30")


def test_more_rows_than_a_batch_are_deleted() -> None:
    old = {"type": "user.updated", "outcome": EventOutcome.UPDATED, "occurred_at": OLD, "received_at": OLD}
    WebhookEvent.objects.bulk_create(
        WebhookEvent(svix_id=f"msg_old_{number}", **old) for number in range(BATCH_ROWS)
    )
    assert f"deleted {BATCH_ROWS + 2} webhook events" in prune("--older-than", "30")


def test_newest_event_stays_when_it_is_old() -> None:
    prune("--older-than", "10")
    assert WebhookEvent.objects.get().received_at == RECENT


def test_newest_run_of_each_kind_and_newest_finished_backfill_stay() -> None:
    for kind, status, at in (
        (SyncRun.Kind.BACKFILL, SyncRun.Status.INTERRUPTED, RECENT + HOUR),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.FAILED, RECENT + 2 * HOUR),
        (SyncRun.Kind.RECONCILE, SyncRun.Status.DONE, RECENT),
        (SyncRun.Kind.RECONCILE, SyncRun.Status.FAILED, RECENT + HOUR),
    ):
        run(kind=kind, status=status, at=at)
    assert "deleted 4 finished runs" in prune("--older-than", "0")
    assert set(SyncRun.objects.values_list("kind", "status", "finished_at")) == {
        (SyncRun.Kind.BACKFILL, SyncRun.Status.DONE, RECENT),
        (SyncRun.Kind.BACKFILL, SyncRun.Status.FAILED, RECENT + 2 * HOUR),
        (SyncRun.Kind.RECONCILE, SyncRun.Status.FAILED, RECENT + HOUR),
    }
    newest = read_run(SyncRun.Kind.BACKFILL)
    assert newest is not None
    assert newest.finished_at == RECENT + 2 * HOUR


@pytest.mark.parametrize("days", ["0", "1"])
def test_missed_webhooks_are_detected_after_pruning(days: str) -> None:
    new_user(at=NOW - HOUR)
    prune("--older-than", days)
    missed = count_missed_webhooks(now=NOW)
    assert missed is not None
    assert missed.count == 1


def test_failed_delivery_stays_while_its_failure_is_open() -> None:
    event("user_b", at=OLD, outcome=EventOutcome.FAILED)
    SyncFailure.objects.record(
        [failures("user_b", at=OLD, source="webhook", reason="unexpected_error")], now=OLD
    )
    prune("--older-than", "30")
    SyncFailure.objects.close_resolved(now=NOW)
    assert SyncFailure.objects.open().filter(clerk_id="user_b").exists()


@pytest.mark.parametrize("days", ["-1", "36501", "99999999", "x", ""])
def test_invalid_number_of_days_is_refused(days: str) -> None:
    before = rows()
    with pytest.raises(CommandError, match="must be a whole number from 0 to 36500"):
        prune("--older-than", days)
    assert rows() == before


@pytest.mark.postgresql
def test_exit_status_is_2_while_the_database_is_down(away: Away) -> None:
    with away(), pytest.raises(CommandError, match="database failed") as ended:
        call_command("prune_history", "--older-than", "30", skip_checks=True)
    assert ended.value.returncode == 2


@pytest.mark.parametrize(
    ("days", "variables", "words"),
    [
        ("30", {"CLERK_CLOCK_SKEW_SECONDS": "x"}, "CLERK_CLOCK_SKEW_SECONDS must be a whole number"),
        ("-1", {}, "must be a whole number from 0"),
    ],
    ids=["settings", "days"],
)
def test_command_that_cannot_run_exits_with_2(
    clerk: LocalClerk, days: str, variables: dict[str, str], words: str
) -> None:
    done = programs.run("prune_history", "--older-than", days, clerk=clerk, **variables)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert words in done.stderr


@pytest.mark.postgresql
def test_lock_on_the_failures_prevents_deletion() -> None:
    before = rows()
    SyncFailure.objects.record([failures(at=OLD)], now=OLD)

    def prune_behind_lock() -> None:
        try:
            prune("--older-than", "30")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        list(SyncFailure.objects.select_for_update())
        with pytest.raises(CommandError, match="Nothing was deleted") as ended:
            pool.submit(prune_behind_lock).result(timeout=10)
    assert (ended.value.returncode, rows()) == (2, (before[0], before[1] + 1, before[2]))
