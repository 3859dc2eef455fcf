"""The claims of a session, as a verified token would have them."""

from __future__ import annotations

from typing import Any

from accounts.clerk.tokens import SessionClaims
from tests.accounts.clerk.conftest import NOW


def session(**claims: Any) -> SessionClaims:
    """Return the claims of a token with this payload."""
    return SessionClaims(
        user_id="user_ada",
        session_id="sess_1",
        issued_at=NOW,
        expires_at=NOW + 60,
        authorized_party=None,
        actor=None,
        read_at=NOW,
        payload=claims,
    )
