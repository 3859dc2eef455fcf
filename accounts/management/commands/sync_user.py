"""Fetch one person afresh from Clerk."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.refresh import refresh_user
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand


class Command(OperatorCommand):
    """`sync_user`: 0 the row is what Clerk says, 1 it is not, 2 it could not run."""

    help = "Fetch one user from Clerk's Backend API and bring the local row in line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the argument."""
        parser.add_argument("clerk_id", metavar="CLERK_ID", help="user_...")

    def work(self, *, clerk_id: str, **_: Any) -> int:
        """Sync one person."""
        try:
            synced = refresh_user(get_clerk_api(), clerk_id, clock=timezone.now)
        except UnusableProfile as refusal:
            self.stderr.write(f"Clerk's answer about {clerk_id} cannot be stored: {refusal}.")
            return SOME_LEFT
        if synced is None:
            self.stderr.write(
                f"Clerk knows no user {clerk_id}. Check the id, and CLERK_SECRET_KEY of this instance. "
                "If the user was deleted in Clerk, `reconcile_users --apply` deletes the row here."
            )
            return SOME_LEFT
        self.stdout.write(f"{clerk_id}: {synced.outcome}")
        if synced.user is None:
            self.stderr.write(
                "The person is deleted here. After Clerk's word `reconcile_users --apply` restores the row; "
                "after an operator's the next sign-in makes a new one."
            )
            return SOME_LEFT
        return FINE
