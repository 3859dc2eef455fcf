"""Report, and mend, where the rows here and the people in Clerk differ."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from accounts.conf import get_clerk_api
from accounts.drift import Drift, DriftReport, Stopped
from accounts.management.operator import COULD_NOT_RUN, FINE, SOME_LEFT, OperatorCommand
from accounts.reconcile import reconcile

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
        "Nobody was deleted: more than 10 % of the rows and more than 10 people are not in Clerk's list. "
        "Is CLERK_SECRET_KEY the one of this instance (clerk_doctor tells)? If these people are really gone, "
        "add --allow-mass-deletion."
    ),
    Stopped.LISTING_INCOMPLETE: (
        "Nobody was deleted: Clerk counts far more people than it listed, so absence proves nothing. "
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
            "--allow-mass-deletion", action="store_true", help="delete even more than 10 %% of the rows"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(self, *, apply: bool, allow_mass_deletion: bool, json: bool, **_: Any) -> int:
        """Reconcile."""
        with self.progress("Reconcile", quiet=json) as show:
            found = reconcile(
                get_clerk_api(),
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
