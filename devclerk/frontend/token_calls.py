"""How the emulator answers the token calls of browsers: well, or with the planned faults."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from devclerk.tokens import LIFETIME_SECONDS, Fault
from devclerk.users import EMPTY

MAX_DELAY_SECONDS = 600.0
LONGEST_SECONDS = 400 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFault:
    """One token call waits `delay` seconds, then fails with `status` or gets a token with a `fault`."""

    status: int | None = None
    retry_after: int | None = None
    delay: float = 0.0
    fault: str | None = None

    def __post_init__(self) -> None:
        """Raise `TypeError` or `ValueError` for values that no call can have."""
        if self.status is not None:
            HTTPStatus(self.status)
        if self.fault is not None:
            Fault(self.fault)
        if not 0 <= self.delay <= MAX_DELAY_SECONDS:
            raise ValueError(f"a delay must be from 0 to {MAX_DELAY_SECONDS:.0f} seconds")


NO_FAULT = TokenFault()


class TokenCalls:
    """The lifetime (seconds) and custom claims of browsers' tokens, and the faults of the next calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._release = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Forget all faults and claims; calls that wait are answered at once."""
        with self._lock:
            self.lifetime: float = LIFETIME_SECONDS
            self.claims: Mapping[str, Any] = EMPTY
            self._planned: deque[TokenFault] = deque()
            self._release.set()
            self._release = threading.Event()

    def configure(
        self,
        *,
        lifetime: float | None = None,
        claims: Mapping[str, Any] | None = None,
        times: int = 1,
        **fault: Any,
    ) -> None:
        """Set the lifetime and claims of later tokens, and apply a fault to the next calls.

        Raise `TypeError` and `ValueError` for unusable values; then nothing is changed.
        """
        planned = [TokenFault(**fault)] * times if fault else []
        new_lifetime = self.lifetime if lifetime is None else float(lifetime)
        if not 1 <= new_lifetime <= LONGEST_SECONDS:
            raise ValueError(f"a lifetime must be from 1 to {LONGEST_SECONDS} seconds")
        new_claims = self.claims if claims is None else dict(claims)
        with self._lock:
            self.lifetime, self.claims = new_lifetime, new_claims
            self._planned.extend(planned)

    def take_fault(self) -> TokenFault:
        """Return what happens to this call, after its delay."""
        with self._lock:
            fault = self._planned.popleft() if self._planned else NO_FAULT
            release = self._release
        if fault.delay:
            release.wait(fault.delay)
        return fault
