"""The result of a reconciliation: how many differences of each kind, with examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_EXAMPLES = 20


class Drift(StrEnum):
    """A kind of difference between a user in Clerk and the row in this database."""

    MISSING = "missing_here"
    STALE = "stale_here"
    DELETED_IN_CLERK = "deleted_in_clerk"
    WRONGLY_DELETED = "deleted_here_but_alive_in_clerk"
    FAILED = "failed_to_store"


class StopReason(StrEnum):
    """Why no row was deleted although live rows are missing from Clerk's list."""

    MASS_DELETION = "mass_deletion"
    LISTING_INCOMPLETE = "listing_incomplete"


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many differences of one kind were found and fixed, and the first Clerk ids as examples."""

    found: int = 0
    fixed: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, clerk_ids: Iterable[str], *, fixed: bool) -> None:
        """Count one difference for each Clerk id."""
        for clerk_id in clerk_ids:
            self.found += 1
            self.fixed += fixed
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(clerk_id)


@dataclass(slots=True, kw_only=True)
class DriftReport:
    """The differences between Clerk and this database.

    `listed` users were in Clerk's list, `expected` by its count. No differences, but information, are
    `deleted_here`, the number of users that an operator deleted, and `shared_addresses`, the Clerk ids of
    each e-mail address that several live rows have.
    """

    listed: int = 0
    expected: int = 0
    tallies: dict[Drift, Tally] = field(default_factory=lambda: {kind: Tally() for kind in Drift})
    deleted_here: int = 0
    shared_addresses: list[list[str]] = field(default_factory=list)
    stopped: StopReason | None = None

    @property
    def left(self) -> int:
        """Return how many differences are not fixed."""
        return sum(tally.found - tally.fixed for tally in self.tallies.values())

    def counts(self) -> dict[str, int]:
        """Return the counts for the row of the run."""
        return {
            "seen": self.listed,
            "mended": sum(tally.fixed for tally in self.tallies.values()),
            **{kind.value: tally.found for kind, tally in self.tallies.items()},
        }

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "listed": self.listed,
            "drift": {
                kind.value: {"found": tally.found, "mended": tally.fixed, "clerk_ids": tally.examples}
                for kind, tally in self.tallies.items()
            },
            "drift_left": self.left,
            "stopped": self.stopped,
            "information": {
                "deleted_here": self.deleted_here,
                "shared_addresses": self.shared_addresses,
            },
        }
