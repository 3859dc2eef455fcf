"""How the emulator answers the token calls of browsers: well, or with the planned faults."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devclerk.tokens import LIFETIME_SECONDS, Fault
from devclerk.users import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFault:
    """One token call waits `delay` seconds, then fails with `status` or gets a token with a `fault`."""

    status: int | None = None
    retry_after: int | None = None
    delay: float = 0.0
    fault: Fault | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for an unknown fault."""
        if self.fault is not None:
            object.__setattr__(self, "fault", Fault(self.fault))


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

    def configure(self, *, lifetime: float | None = None, claims: Mapping[str, Any] | None = None) -> None:
        """Set the lifetime and the custom claims of later tokens; None leaves a setting as it is."""
        with self._lock:
            self.lifetime = self.lifetime if lifetime is None else float(lifetime)
            self.claims = self.claims if claims is None else dict(claims)

    def plan_faults(self, *, times: int = 1, **fault: Any) -> None:
        """Apply a fault to the next calls. Raise `TypeError` and `ValueError` for an unknown one."""
        planned = [TokenFault(**fault)] * times
        with self._lock:
            self._planned.extend(planned)

    def take_fault(self) -> TokenFault:
        """Return what happens to this call, after its delay."""
        with self._lock:
            fault = self._planned.popleft() if self._planned else NO_FAULT
            release = self._release
        if fault.delay:
            release.wait(fault.delay)
        return fault
