"""What the tests of the key store share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def key_threads() -> set[threading.Thread]:
    """Return the running threads of key stores."""
    return {each for each in threading.enumerate() if each.name.startswith("clerk-keys")}


def wait_until(condition: Callable[[], bool], *, seconds: float = 15) -> bool:
    """Return whether the condition came true in time."""
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.005)
    return condition()
