"""Link existing Django users to their Clerk users."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from accounts.bulk.linking import Decision, LinkOptions, Verdict, decide, link
from accounts.conf import get_clerk_api
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand


class Command(OperatorCommand):
    """`link_users`: 0 all matching rows are or would be linked, 1 some are not, 2 it could not run."""

    help = "Link existing users to Clerk users, by external_id or verified e-mail. A dry run unless --apply."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--apply", action="store_true", help="link them; their passwords become unusable")
        parser.add_argument(
            "--keep-passwords", action="store_true", help="leave the passwords of linked users usable"
        )
        parser.add_argument(
            "--external-id-is-pk",
            action="store_true",
            help="link by an external_id that is a primary key, also where the key is no UUID",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def work(
        self, *, apply: bool, keep_passwords: bool, external_id_is_pk: bool, json: bool, **_: Any
    ) -> int:
        """Decide, link if `apply`, and print the decisions."""
        api = get_clerk_api()
        options = LinkOptions(external_id_is_key=external_id_is_pk, keep_passwords=keep_passwords)
        plan = decide(api, clock=timezone.now, options=options)
        decisions = plan.decisions
        if apply:
            decisions = link(api, decisions, clock=timezone.now, options=options)
        undecided = sum(not decision.is_link for decision in decisions)
        if json:
            self.print_json(
                {
                    "applied": apply,
                    "undecided": undecided,
                    "unmatched": plan.unmatched,
                    "decisions": [*map(_as_json, decisions)],
                    "unverified": [{"clerk_id": each, "user_id": str(row)} for each, row in plan.unverified],
                }
            )
        else:
            self._print(decisions, apply=apply)
            for clerk_id, row in plan.unverified:
                self.stdout.write(f"{clerk_id}  {row}  not linked: address_not_verified")
            self.stdout.write(
                f"{plan.unmatched} users in Clerk match no user of this database: `backfill_users` creates a"
                " row for each of them, and for each undecided user without a row."
            )
        return SOME_LEFT if undecided else FINE

    def _print(self, decisions: Sequence[Decision], *, apply: bool) -> None:
        for decision in decisions:
            row = decision.row or "several rows"
            state = ("linked" if apply else "would link") if decision.is_link else "undecided:"
            self.stdout.write(f"{decision.clerk_id}  {row}  {state} {decision.verdict}")
        counts = Counter(decision.verdict for decision in decisions)
        if counts:
            self.print_counts({verdict: counts[verdict] for verdict in Verdict if verdict in counts})
        if not apply:
            self.stdout.write("Nothing was written. Run the command with --apply to link the users above.")


def _as_json(decision: Decision) -> dict[str, object]:
    return {
        "clerk_id": decision.clerk_id,
        "user_id": str(decision.row) if decision.row else None,
        "decision": "link" if decision.is_link else "undecided",
        "reason": decision.verdict,
    }
