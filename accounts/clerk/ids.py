"""Ids of Clerk users."""

from __future__ import annotations

import re
from typing import TypeGuard

_CLERK_ID = re.compile(r"user_[A-Za-z0-9]{1,59}")


def is_clerk_id(value: object) -> TypeGuard[str]:
    """Return whether this is the id of a Clerk user: of a token's `sub`, an event or a Backend API user."""
    return isinstance(value, str) and _CLERK_ID.fullmatch(value) is not None
