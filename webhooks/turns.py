"""One delivery for each user or event at a time, so that a lock or a slow handler blocks one thread alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A delivery takes milliseconds. After this time the one in progress is waiting for the database.
MAX_TURN_SECONDS = 2.0


class TurnNotFree(Exception):
    """An earlier delivery with the same key is still waiting, for the database or for a handler."""


class Turns:
    """Admits one thread of this process for each key; `clock` is monotonic, in seconds.

    Any number of threads may wait while the ones before them make progress. When the thread in progress needs
    longer than `MAX_TURN_SECONDS`, no other waits for it: the database would let none of them pass either.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._started_at: dict[str, float] = {}

    @contextmanager
    def take(self, key: str) -> Iterator[None]:
        """Run the block while no other thread runs one with this key; raise TurnNotFree."""
        with self._changed:
            while key in self._started_at:
                seconds_left = self._started_at[key] + MAX_TURN_SECONDS - self._clock()
                if seconds_left <= 0:
                    raise TurnNotFree
                self._changed.wait(seconds_left)
            self._started_at[key] = self._clock()
        try:
            yield
        finally:
            with self._changed:
                del self._started_at[key]
                self._changed.notify_all()
