"""Users of the tests, as they are stored."""

from __future__ import annotations

from accounts.models import User


def rows(clerk_id: str = "user_ada") -> list[User]:
    """Return all rows of a Clerk id, the oldest first."""
    return list(User.objects.filter(clerk_id=clerk_id).order_by("created_at"))
