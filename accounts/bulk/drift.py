"""What a reconciliation found: the kinds of difference, how many of each, and who for example."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EXAMPLES_MAX = 20


class Drift(StrEnum):
    """A way in which a person's row differs from Clerk."""

    MISSING = "missing_here"
    STALE = "stale_here"
    GONE = "deleted_in_clerk"
    ALIVE = "deleted_here_but_alive_in_clerk"
    FAILED = "failed_to_store"


class Stopped(StrEnum):
    """Why nobody was deleted although people are missing from Clerk's list."""

    MASS_DELETION = "mass_deletion"
    LISTING_INCOMPLETE = "listing_incomplete"


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many of a kind were found and mended, and the Clerk ids of the first ones."""

    found: int = 0
    mended: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, clerk_ids: Iterable[str], *, mended: bool) -> None:
        """Count these people in; one without an id is "" and no example."""
        for clerk_id in clerk_ids:
            self.found += 1
            self.mended += mended
            if clerk_id and len(self.examples) < EXAMPLES_MAX:
                self.examples.append(clerk_id)


@dataclass(slots=True, kw_only=True)
class DriftReport:
    """The difference between Clerk and here.

    `deleted_here` (people whom an operator deleted) and `shared_addresses` (groups of Clerk ids, one group
    for each e-mail that several live rows have) are information and no drift.
    """

    listed: int = 0
    expected: int = 0
    tallies: dict[Drift, Tally] = field(default_factory=lambda: {kind: Tally() for kind in Drift})
    deleted_here: int = 0
    shared_addresses: list[list[str]] = field(default_factory=list)
    stopped: Stopped | None = None

    @property
    def left(self) -> int:
        """How many differences still stand."""
        return sum(tally.found - tally.mended for tally in self.tallies.values())

    def counts(self) -> dict[str, int]:
        """Give the numbers of the run's row."""
        return {
            "seen": self.listed,
            "mended": sum(tally.mended for tally in self.tallies.values()),
            **{kind.value: tally.found for kind, tally in self.tallies.items()},
        }

    def as_json(self) -> dict[str, Any]:
        """Give the report for machines."""
        return {
            "listed": self.listed,
            "drift": {
                kind.value: {"found": tally.found, "mended": tally.mended, "clerk_ids": tally.examples}
                for kind, tally in self.tallies.items()
            },
            "drift_left": self.left,
            "stopped": self.stopped,
            "information": {
                "deleted_here": self.deleted_here,
                "shared_addresses": self.shared_addresses,
            },
        }
