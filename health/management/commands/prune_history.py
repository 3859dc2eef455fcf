"""Retention: what is over and old goes."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from accounts.models import SyncRun
from health.models import SyncFailure
from webhooks.models import WebhookEvent

# Small enough that nobody waits for the locks of one DELETE.
BATCH = 1_000
COULD_NOT_RUN = 2


class Command(BaseCommand):
    """Delete webhook events, closed failures and finished runs that ended before the given number of days."""

    help = "Deletes old webhook events, closed failures and finished runs; exit 0 done, 2 could not run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --older-than and --dry-run."""
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS", help="At least 1.")
        parser.add_argument("--dry-run", action="store_true", help="Count only.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete in batches and print how many of each went."""
        days = options["older_than"]
        if not 1 <= days <= timedelta.max.days // 1000:
            self.stderr.write(
                "Nothing was deleted: --older-than must be 1 day or more, for health looks back a day."
            )
            sys.exit(COULD_NOT_RUN)
        moment = timezone.now() - timedelta(days=days)
        verb = "would delete" if options["dry_run"] else "deleted"
        try:
            if not options["dry_run"]:
                # While the events that mended something are still there.
                SyncFailure.objects.settle(now=timezone.now())
            for name, rows in (
                ("webhook events", _events(moment)),
                ("closed failures", SyncFailure.objects.filter(closed_at__lt=moment)),
                ("finished runs", _runs(moment)),
            ):
                count = rows.count() if options["dry_run"] else _delete(rows)
                self.stdout.write(f"{verb} {count} {name}")
        except Error as error:
            self.stderr.write(
                f"Stopped by the database ({type(error).__name__}); what is deleted stays so. Run it again."
            )
            sys.exit(COULD_NOT_RUN)


def _events(moment: datetime) -> QuerySet[WebhookEvent]:
    # The oldest one stays: it is how the missed-webhook detector knows that the endpoint ever worked, even
    # when the last event came half a year ago.
    oldest = WebhookEvent.objects.aggregate(oldest=Min("received_at"))["oldest"]
    return WebhookEvent.objects.filter(received_at__lt=moment).exclude(received_at=oldest)


def _runs(moment: datetime) -> QuerySet[SyncRun]:
    # The newest of each kind and ending stays: the report and the detector stand on it.
    finished = SyncRun.objects.exclude(finished_at=None)
    newest = (
        finished.values("kind", "status").annotate(newest=Max("finished_at")).values_list("newest", flat=True)
    )
    return finished.filter(finished_at__lt=moment).exclude(finished_at__in=list(newest))


def _delete(rows: QuerySet[Any]) -> int:
    count = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        count += rows.model.objects.filter(pk__in=batch).delete()[0]
    return count
