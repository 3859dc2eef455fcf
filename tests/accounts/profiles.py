"""The one factory of profiles for the tests."""

from __future__ import annotations

from typing import Any

from accounts.clerk.profiles import ClerkProfile, Source

T = 1_800_000_000_000  # ms, Clerk's clock


def profile(
    source: Source = Source.CLAIMS,
    at: int = T,
    *,
    clerk_id: str = "user_ada",
    true_until: int | None = None,
    unusable: tuple[str, ...] = (),
    **values: Any,
) -> ClerkProfile:
    """Return a profile of one user as of `at` (ms); other keywords are the fields that it states."""
    return ClerkProfile(
        clerk_id=clerk_id, source=source, at=at, values=values, true_until=true_until, unusable=unusable
    )
