"""Report, and correct, where the rows of this database and the users in Clerk differ."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.bulk.drift import Drift, DriftReport, Stopped
from accounts.bulk.reconcile import reconcile
from accounts.conf import get_clerk_api
from accounts.management.operator import COULD_NOT_RUN, FINE, SOME_LEFT, OperatorCommand

EXAMPLES = 5
MEANING = {
    Drift.MISSING: "in Clerk, no row here",
    Drift.STALE: "the row here is out of date",
    Drift.GONE: "deleted in Clerk, live here",
    Drift.ALIVE: "deleted here by Clerk's word, alive in Clerk",
    Drift.FAILED: "failed to be stored; /admin/ and sync_health say why",
}
STOPPED = {
    Stopped.MASS_DELETION: (
        "No row was deleted: more than half of the rows, or more than 10 % and more than 10 users, are not in"
        " Clerk's list. Look a few of them up in Clerk's dashboard. If these users are really deleted there,"
        " add --allow-mass-deletion."
    ),
    Stopped.LISTING_INCOMPLETE: (
        "No row was deleted: Clerk counts far more users than it listed, so absence proves nothing. "
        "Run the command again later."
    ),
}


class Command(OperatorCommand):
    """`reconcile_users`: 0 no drift, 1 drift left, 2 it could not run or stopped before a mass deletion."""

    help = "Compare every row with Clerk and report the drift; --apply mends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--apply", action="store_true", help="mend what differs")
        parser.add_argument(
            "--allow-mass-deletion",
            action="store_true",
            help="delete even more than half of the rows, or more than 10 %% and more than 10 users",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(self, *, apply: bool, allow_mass_deletion: bool, json: bool, **_: Any) -> int:
        """Reconcile."""
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
            if apply or found.stopped == Stopped.LISTING_INCOMPLETE:
                return COULD_NOT_RUN
        return SOME_LEFT if found.left else FINE

    def _print(self, found: DriftReport) -> None:
        if self.stdout.isatty():
            _draw(found)
        else:
            for kind, tally in found.tallies.items():
                examples = f" ({', '.join(tally.examples[:EXAMPLES])})" if tally.examples else ""
                self.stdout.write(f"{kind}: {tally.found}, mended: {tally.mended}{examples}")
        self.stdout.write(
            f"{found.listed:,} people in Clerk, {found.left:,} differences left. For information: "
            f"{found.deleted_here:,} deleted here by an operator, "
            f"{len(found.shared_addresses):,} e-mail addresses shared by several rows."
        )
        for clerk_ids in found.shared_addresses:
            self.stdout.write(f"  one address: {', '.join(clerk_ids)}")


def _draw(found: DriftReport) -> None:
    # rich is slow to import, and cron has no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415

    table = Table("drift", "found", "mended", Column("for example", no_wrap=True))
    for kind, tally in found.tallies.items():
        table.add_row(
            MEANING[kind], f"{tally.found:,}", f"{tally.mended:,}", "\n".join(tally.examples[:EXAMPLES])
        )
    Console().print(table)
