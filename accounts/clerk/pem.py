"""Configured keys: PEM texts, no network."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.jwks import keys_of_pem
from accounts.clerk.key_source import KeysStatus

WINDOW_SECONDS = 300.0
REMEMBERED_WINDOWS = 12
MIN_BAD, MIN_BAD_SHARE = 5, 0.1


class PemKeys:
    """Configured keys; the token's `kid` is not used.

    Note [A rotated key]
    If Clerk has replaced the key, good signatures stop and bad ones come instead: `status` reports it. Anyone
    can send bad signatures, so they prove nothing while good ones arrive, nor in a process that never had a
    good one. In a quiet night no good one arrives either. So the bad ones of five minutes must be at least
    five, and a tenth of the good ones in the busiest of the last windows that had any.
    """

    def __init__(self, keys: Sequence[RSAPublicKey], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = tuple(keys), clock
        self._good = self._bad = 0
        self._window_began_at = clock()
        self._good_of_windows: deque[int] = deque(maxlen=REMEMBERED_WINDOWS)
        self._suspect = False

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        return self._keys

    def status(self) -> KeysStatus:
        self._close_window_if_over()
        return KeysStatus(mode="pem", held=True, suspect_rotation=self._suspect)

    def start(self) -> None:
        """Do nothing: the keys are configured."""

    def record_result(self, *, good: bool) -> None:
        """Count the result in the window of five minutes."""
        self._close_window_if_over()
        if not self._good + self._bad:
            self._window_began_at = self._clock()
        # Without a lock: a count lost between threads changes no decision.
        if good:
            self._good += 1
            self._suspect = False
        else:
            self._bad += 1

    def _close_window_if_over(self) -> None:
        if self._clock() - self._window_began_at < WINDOW_SECONDS:
            return
        if self._good:
            self._good_of_windows.append(self._good)
        elif self._good_of_windows:  # Note [A rotated key]
            min_bad = max(MIN_BAD, MIN_BAD_SHARE * max(self._good_of_windows))
            self._suspect = self._suspect or self._bad >= min_bad
        self._window_began_at, self._good, self._bad = self._clock(), 0, 0


def pem_keys(pem: str) -> PemKeys:
    """Return the keys of one or several PEM texts; raise ValueError with a sentence for the operator."""
    return PemKeys(keys_of_pem(pem))
