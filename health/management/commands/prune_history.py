"""Delete old rows of the history."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.management.operator import COULD_NOT_RUN, FINE, OperatorCommand, days
from accounts.models import SyncRun
from health.models import SyncFailure
from webhooks.models import EventOutcome, WebhookEvent

# The rows of one DELETE: few enough that its locks end soon.
BATCH_ROWS = 1_000
# The newest run of each kind is kept: the report shows it, and the detector needs the last finished backfill.
KEPT_RUNS = (
    {"kind": SyncRun.Kind.BACKFILL},
    {"kind": SyncRun.Kind.BACKFILL, "status": SyncRun.Status.DONE},
    {"kind": SyncRun.Kind.RECONCILE},
)


class Command(OperatorCommand):
    """`prune_history`: exit status 0 done, 2 could not run. It keeps the rows that the report needs."""

    help = "Delete old webhook events, closed failures and finished runs; exit 0 done, 2 could not run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than",
            type=days,
            required=True,
            metavar="DAYS",
            help="delete what ended at least so many days ago",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count the rows")

    def work(self, *, older_than: int, dry_run: bool, **_: Any) -> int:
        """Delete in batches and print how many rows of each kind were deleted."""
        now = timezone.now()
        before = now - timedelta(days=older_than)
        # Before the deletion of the events that resolved a failure.
        if not dry_run and not SyncFailure.objects.close_resolved(now=now):
            raise CommandError(
                "Nothing was deleted: another session holds a lock on the failures. Run the command again.",
                returncode=COULD_NOT_RUN,
            )
        for name, rows in (
            ("webhook events", _old_events(before)),
            ("closed failures", SyncFailure.objects.filter(closed_at__lt=before)),
            ("finished runs", _old_runs(before)),
        ):
            count = rows.count() if dry_run else _delete(rows)
            self.stdout.write(f"{'would delete' if dry_run else 'deleted'} {count} {name}")
        return FINE


def _old_events(before: datetime) -> QuerySet[WebhookEvent]:
    # The newest event stays, however old: it shows that the endpoint once worked.
    newest = WebhookEvent.objects.order_by("-received_at").values("pk")[:1]
    # A failed delivery keeps its failure open: Note [Resolved without a statement] in health.models.
    open_failures = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id"))
    old = WebhookEvent.objects.filter(received_at__lt=before).exclude(pk__in=newest)
    return old.exclude(Q(outcome=EventOutcome.FAILED) & Exists(open_failures))


def _old_runs(before: datetime) -> QuerySet[SyncRun]:
    finished = SyncRun.objects.exclude(finished_at=None).order_by("-finished_at")
    old = finished.filter(finished_at__lt=before)
    for kept in KEPT_RUNS:
        old = old.exclude(pk__in=finished.filter(**kept).values("pk")[:1])
    return old


def _delete(rows: QuerySet[Any]) -> int:
    count = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH_ROWS]):
        count += rows.model.objects.filter(pk__in=batch).delete()[0]
    return count
