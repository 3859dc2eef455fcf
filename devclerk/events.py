"""What happened to a person, and in which ways the news of it shall go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from devclerk.people import Person, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How one event is delivered: `copies` times, after the next event, late (seconds), never, or spoiled."""

    copies: int = 1
    reorder: bool = False
    delay: float = 0.0
    drop: bool = False
    bad_signature: bool = False
    stale: bool = False


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event about one person, as of `at` (ms). `svix_id` stays the same through all its deliveries."""

    type: str
    person: Person
    at: int
    faults: Faults = NO_FAULTS
    svix_id: str = field(default_factory=lambda: new_id("msg"))
