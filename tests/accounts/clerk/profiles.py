"""Profiles that the tests read from claims and users."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from accounts.clerk.profiles import (
    DEFAULT_CLAIMS,
    ClerkProfile,
    Source,
    parse_claims_map,
    profile_from_claims,
    profile_from_user,
)
from accounts.clerk.tokens import SessionClaims

NOW = 1_800_000_000_000


def profile_of_claims(
    payload: dict[str, Any], *, mapping: str = DEFAULT_CLAIMS, extra_fields: Collection[str] = ()
) -> ClerkProfile:
    session = SessionClaims(
        user_id="user_ada",
        session_id="sess_1",
        issued_at=NOW // 1000,
        expires_at=NOW // 1000 + 60,
        authorized_party=None,
        actor=None,
        read_at=NOW // 1000 - 7,
        payload=payload,
    )
    return profile_from_claims(session, mapping=parse_claims_map(mapping, extra_fields=extra_fields))


def profile_of_user(
    data: object,
    *,
    source: Source = Source.WEBHOOK,
    observed_at: int | None = NOW - 60_000,
    extra_fields: Collection[str] = (),
) -> ClerkProfile:
    return profile_from_user(data, source=source, observed_at=observed_at, now=NOW, extra_fields=extra_fields)
