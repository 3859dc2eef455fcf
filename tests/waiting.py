"""Wait for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.01


def wait_until(
    condition: Callable[[], object], *, seconds: float = 15, what: str = "the condition of the test"
) -> float:
    """Wait until the condition is true and return the seconds; raise AssertionError after the time limit."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"no success within {seconds:g} s: {what}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - begin
