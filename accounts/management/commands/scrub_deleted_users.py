"""Erase the personal data and the rights of deleted rows."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone

from accounts.audit import SecurityEvent, log_event
from accounts.bulk.scrub import deleted_before, deleted_rows_of, get_unscrubbed, scrub
from accounts.management.operator import COULD_NOT_RUN, FINE, OperatorCommand, days
from accounts.sync import get_rows


class Command(OperatorCommand):
    """`scrub_deleted_users`: 0 done, 2 it could not run."""

    help = "Erase the personal data and rights of deleted users; the rows and the foreign keys to them stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--older-than", type=days, metavar="DAYS", help="deleted at least DAYS days ago")
        which.add_argument("--clerk-id", metavar="ID", help="one user, who must be deleted")
        parser.add_argument("--dry-run", action="store_true", help="count the rows, write nothing")

    def work(self, *, older_than: int | None, clerk_id: str | None, dry_run: bool, **_: Any) -> int:
        """Erase the data, or count the rows if `dry_run`; raise CommandError if the user is not deleted."""
        which = _select_user(clerk_id) if clerk_id is not None else _select_by_age(older_than or 0)
        if dry_run:
            rows = get_unscrubbed(which).count()
            self.stdout.write(f"dry run: {rows:,} rows would lose their personal data")
            return FINE
        scrubbed = scrub(which)
        log_event(SecurityEvent.USERS_ERASED, clerk_id=clerk_id, rows=scrubbed.rows)
        self.stdout.write(f"{scrubbed.rows:,} rows lost their personal data")
        if scrubbed.kept_users:
            self.stdout.write(
                f"{scrubbed.kept_users:,} users were kept: they were linked, have a password, or are staff"
            )
        return FINE


def _select_by_age(older_than: int) -> Q:
    return deleted_before(timezone.now() - timedelta(days=older_than))


def _select_user(clerk_id: str) -> Q:
    rows = get_rows(clerk_id)
    if not rows or any(row.deleted_at is None for row in rows):
        state = "is not deleted: delete the user in Clerk, or locally in the admin" if rows else "is unknown"
        raise CommandError(f"Nothing was erased: the user {state}.", returncode=COULD_NOT_RUN)
    return deleted_rows_of(clerk_id)
