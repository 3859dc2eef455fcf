"""Changes of users, and the faults of their webhook deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field

from devclerk.users import ClerkUser, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How one event is delivered: `copies` times, after the next event, late (seconds), never, or invalid."""

    copies: int = 1
    reorder: bool = False
    delay: float = 0.0
    drop: bool = False
    bad_signature: bool = False
    stale: bool = False


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event about one user, at `at` (ms), which may be after the user's last change.

    All deliveries of an event share its `svix_id`.
    """

    type: str
    user: ClerkUser
    at: int
    faults: Faults = NO_FAULTS
    svix_id: str = field(default_factory=lambda: new_id("msg"))
