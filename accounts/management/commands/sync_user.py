"""Fetch one user from Clerk and update the row."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.refresh import refresh_user
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand


class Command(OperatorCommand):
    """`sync_user`: 0 the row equals Clerk, 1 it does not, 2 it could not run."""

    help = "Fetch one user from Clerk's Backend API and update the row."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the argument."""
        parser.add_argument("clerk_id", metavar="CLERK_ID", help="user_...")

    def work(self, *, clerk_id: str, **_: Any) -> int:
        """Fetch the user and print the outcome."""
        try:
            synced = refresh_user(get_clerk_api(), clerk_id, clock=timezone.now)
        except UnusableProfile as error:
            self.stderr.write(f"Clerk's answer about {clerk_id} cannot be stored: {error}.")
            return SOME_LEFT
        if synced is None:
            self.stderr.write(
                f"Clerk has no user {clerk_id}. Check the id, and that CLERK_SECRET_KEY is of this instance. "
                "If the user was deleted in Clerk, run `reconcile_users --apply` to delete the row."
            )
            return SOME_LEFT
        self.stdout.write(f"{clerk_id}: {synced.outcome}")
        if synced.identity is None:
            self.stderr.write(
                "The row is deleted. If it is marked as deleted in Clerk, `reconcile_users --apply` restores "
                "it. If an operator deleted it, the next sign-in creates a new row."
            )
            return SOME_LEFT
        return FINE
