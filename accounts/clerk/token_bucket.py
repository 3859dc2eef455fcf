"""A token bucket: a few calls at once, then one more per interval."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Holds `capacity` tokens at first and gains one every `seconds_per_token`, up to `capacity`.

    Not thread-safe: the caller holds a lock.
    """

    def __init__(self, *, capacity: int, seconds_per_token: float, clock: Callable[[], float]) -> None:
        self._capacity, self._seconds_per_token, self._clock = capacity, seconds_per_token, clock
        self._tokens, self._refilled_at = float(capacity), clock()

    def take(self) -> bool:
        """Take a token; return False if there is none."""
        now = self._clock()
        gained = (now - self._refilled_at) / self._seconds_per_token
        self._tokens, self._refilled_at = min(self._capacity, self._tokens + gained), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
