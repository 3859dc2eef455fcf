"""Create or update the row of every Clerk user."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.backfill import FAILED, SEEN, backfill
from accounts.conf import get_clerk_api
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand, positive
from accounts.sync import Outcome


class Command(OperatorCommand):
    """`backfill_users`: 0 all users are stored, 1 some could not be stored, 2 it could not run."""

    help = "Create or update the row of every Clerk user. An unfinished run resumes where it stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--dry-run", action="store_true", help="report what would be done, write nothing")
        parser.add_argument("--limit", type=positive, metavar="N", help="store only the oldest N users")
        parser.add_argument("--restart", action="store_true", help="start from the beginning; do not resume")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(self, *, dry_run: bool, limit: int | None, restart: bool, json: bool, **_: Any) -> int:
        """Run the backfill and print the counts."""
        api = get_clerk_api()
        users = api.count()
        total = min(users, limit or users)
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
