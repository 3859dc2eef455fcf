"""Retention: what is over and old goes."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.management.arguments import days
from accounts.management.operator import COULD_NOT_RUN, FINE, OperatorCommand
from accounts.models import SyncRun
from health.models import SyncFailure
from webhooks.models import EventOutcome, WebhookEvent

# Small enough that nobody waits for the locks of one DELETE.
BATCH = 1_000
# The newest of each: the report tells of the last runs, the detector asks whether a backfill was ever done.
RUNS_THAT_STAY = (
    {"kind": SyncRun.Kind.BACKFILL},
    {"kind": SyncRun.Kind.BACKFILL, "status": SyncRun.Status.DONE},
    {"kind": SyncRun.Kind.RECONCILE},
)


class Command(OperatorCommand):
    """`prune_history`: 0 done, 2 it could not run. The newest of what the report stands on stays."""

    help = "Delete old webhook events, closed failures and finished runs; exit 0 done, 2 could not run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than", type=days, required=True, metavar="DAYS", help="over for at least so many days"
        )
        parser.add_argument("--dry-run", action="store_true", help="count them, write nothing")

    def work(self, *, older_than: int, dry_run: bool, **_: Any) -> int:
        """Delete in batches and print how many of each went."""
        now = timezone.now()
        moment = now - timedelta(days=older_than)
        # First, while the events that mended something are still there.
        if not dry_run and not SyncFailure.objects.close_resolved(now=now):
            raise CommandError(
                "Nothing was deleted: another session holds a lock on the failures. Run the command again.",
                returncode=COULD_NOT_RUN,
            )
        for name, rows in (
            ("webhook events", _events(moment)),
            ("closed failures", SyncFailure.objects.filter(closed_at__lt=moment)),
            ("finished runs", _runs(moment)),
        ):
            count = rows.count() if dry_run else _delete(rows)
            self.stdout.write(f"{'would delete' if dry_run else 'deleted'} {count} {name}")
        return FINE


def _events(moment: datetime) -> QuerySet[WebhookEvent]:
    # The newest of all stays, however old: the endpoint once worked, and since then nothing came.
    newest = WebhookEvent.objects.order_by("-received_at").values("pk")[:1]
    # A delivery left as failed is why a failure is open: Note [Mended by a webhook] in health.models.
    open_ones = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id"))
    old = WebhookEvent.objects.filter(received_at__lt=moment).exclude(pk__in=newest)
    return old.exclude(Q(outcome=EventOutcome.FAILED) & Exists(open_ones))


def _runs(moment: datetime) -> QuerySet[SyncRun]:
    finished = SyncRun.objects.exclude(finished_at=None).order_by("-finished_at")
    old = finished.filter(finished_at__lt=moment)
    for stays in RUNS_THAT_STAY:
        old = old.exclude(pk__in=finished.filter(**stays).values("pk")[:1])
    return old


def _delete(rows: QuerySet[Any]) -> int:
    count = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        count += rows.model.objects.filter(pk__in=batch).delete()[0]
    return count
