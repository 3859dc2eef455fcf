"""Keeps the claims of tokens in an order that their whole seconds can express."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from devclerk.users import ClerkUser


class TokenPacer:
    """Delays a token until its claims are a second newer than different claims about the same user.

    A token states in whole seconds when its claims were read. Different claims within one second, or claims
    within the second of a change, would have no order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_claims: dict[str, tuple[int, str]] = {}

    def reset(self) -> None:
        """Forget all earlier tokens."""
        with self._lock:
            self._last_claims.clear()

    def wait(self, user: ClerkUser, claims: Mapping[str, Any]) -> None:
        """Block until a token with these claims may be minted, at most one second."""
        new_claims = repr(sorted({**user.claims(), **claims}.items()))
        with self._lock:
            minted_at, last_claims = self._last_claims.get(user.id, (0, new_claims))
            if new_claims == last_claims:
                minted_at = 0
            # Claims that differ from the stored user must be newer than its last change, too.
            changed_at = user.updated_at // 1000 if claims else 0
            wait_seconds = max(minted_at, changed_at) + 1 - time.time()
            if 0 < wait_seconds <= 1:
                time.sleep(wait_seconds)
            self._last_claims[user.id] = (int(time.time()), new_claims)
