"""Report and fix the differences between Clerk and this database."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.drift import DriftReport, StopReason
from accounts.bulk.reconcile import reconcile
from accounts.conf import get_clerk_api
from accounts.management.operator import COULD_NOT_RUN, FINE, SOME_LEFT, OperatorCommand

MAX_EXAMPLES = 5
STOPPED = {
    StopReason.MASS_DELETION: (
        "No row was deleted: more than half of the rows, or more than 10 % and more than 10 users, are not in"
        " Clerk's list. Look up a few of them in Clerk's dashboard. If they are really deleted in Clerk, add"
        " --allow-mass-deletion."
    ),
    StopReason.LISTING_INCOMPLETE: (
        "No row was deleted: Clerk counts far more users than it listed, so the list is incomplete. "
        "Run the command again later."
    ),
}


class Command(OperatorCommand):
    """`reconcile_users`: 0 no differences left, 1 some left, 2 it could not run, or stopped."""

    help = "Report the differences between Clerk and this database; --apply fixes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--apply", action="store_true", help="fix the differences")
        parser.add_argument(
            "--allow-mass-deletion",
            action="store_true",
            help="delete even more than half of the rows, or more than 10 %% and more than 10 users",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(self, *, apply: bool, allow_mass_deletion: bool, json: bool, **_: Any) -> int:
        """Run the reconciliation and print the report."""
        api = get_clerk_api()
        with self.progress("Reconcile", quiet=json) as show:
            found = reconcile(
                api,
                clock=timezone.now,
                report=lambda report: show(report.listed, total=report.expected),
                apply=apply,
                allow_mass_deletion=allow_mass_deletion,
            )
        if json:
            self.print_json(found.as_json())
        else:
            self._print(found)
        if found.stopped:
            self.stderr.write(STOPPED[found.stopped])
            if apply or found.stopped == StopReason.LISTING_INCOMPLETE:
                return COULD_NOT_RUN
        return SOME_LEFT if found.left else FINE

    def _print(self, found: DriftReport) -> None:
        for kind, tally in found.tallies.items():
            examples = f" ({', '.join(tally.examples[:MAX_EXAMPLES])})" if tally.examples else ""
            self.stdout.write(f"{kind}: {tally.found}, mended: {tally.fixed}{examples}")
        self.stdout.write(
            f"{found.listed:,} users in Clerk, {found.left:,} differences left. For information: "
            f"{found.deleted_here:,} deleted locally by an operator, "
            f"{len(found.shared_addresses):,} e-mail addresses shared by several rows."
        )
        for clerk_ids in found.shared_addresses:
            self.stdout.write(f"  one address: {', '.join(clerk_ids)}")
