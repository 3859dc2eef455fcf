"""Erase the personal data of deleted rows."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.bulk.scrub import get_unscrubbed, scrub
from accounts.management.operator import FINE, OperatorCommand, days


class Command(OperatorCommand):
    """`scrub_deleted_users`: 0 done, 2 it could not run."""

    help = "Erase the personal data of deleted users; the rows and the foreign keys to them stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--older-than", type=days, required=True, metavar="DAYS", help="deleted at least DAYS days ago"
        )
        parser.add_argument("--dry-run", action="store_true", help="count the rows, write nothing")

    def work(self, *, older_than: int, dry_run: bool, **_: Any) -> int:
        """Erase the data, or count the rows if `dry_run`."""
        deleted_before = timezone.now() - timedelta(days=older_than)
        if dry_run:
            rows = get_unscrubbed(deleted_before=deleted_before).count()
            self.stdout.write(f"dry run: {rows:,} rows would lose their personal data")
            return FINE
        scrubbed = scrub(deleted_before=deleted_before)
        self.stdout.write(f"{scrubbed.rows:,} rows lost their personal data")
        if scrubbed.kept_users:
            self.stdout.write(
                f"{scrubbed.kept_users:,} users were kept: they were linked, have a password, or are staff"
            )
        return FINE
