"""Bring every person of the Clerk instance here."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.backfill import FAILED, SEEN, backfill
from accounts.conf import get_clerk_api
from accounts.management.arguments import positive
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand
from accounts.sync import Outcome


class Command(OperatorCommand):
    """`backfill_users`: 0 everybody is here, 1 some could not be stored, 2 it could not run."""

    help = "Make every Clerk user a local row. A run that was stopped goes on where it was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--dry-run", action="store_true", help="find out what would happen, write nothing"
        )
        parser.add_argument("--limit", type=positive, metavar="N", help="take the oldest N users as a sample")
        parser.add_argument("--restart", action="store_true", help="begin anew instead of going on")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(self, *, dry_run: bool, limit: int | None, restart: bool, json: bool, **_: Any) -> int:
        """Backfill."""
        api = get_clerk_api()
        people = api.count()
        total = min(people, limit or people)
        with self.progress("Backfill", quiet=json) as show:
            counts = backfill(
                api,
                clock=timezone.now,
                report=lambda counts: show(counts[SEEN], total=total),
                dry_run=dry_run,
                limit=limit,
                restart=restart,
            )
        numbers = {name: counts[name] for name in (SEEN, *Outcome, FAILED)}
        if json:
            self.print_json({"dry_run": dry_run, **numbers})
        else:
            self.print_counts({"dry run": "nothing written", **numbers} if dry_run else numbers)
        return SOME_LEFT if counts[FAILED] else FINE
