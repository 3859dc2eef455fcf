"""What tokens have said about people, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from devclerk.people import Person


class Stories:
    """Keeps two different stories about one person out of one second.

    A token says in whole seconds when its claims were read, so of two told in one second, or of one told in
    the second of a change, nobody could tell which is the newer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, tuple[int, str]] = {}

    def forget(self) -> None:
        """Begin again."""
        with self._lock:
            self._last.clear()

    def wait(self, person: Person, claims: Mapping[str, Any]) -> None:
        """Return when a token with these claims may be minted, a second later at most."""
        story = repr(sorted({**person.claims(), **claims}.items()))
        with self._lock:
            second, last = self._last.get(person.id, (0, story))
            told = second if story != last else 0
            # What is claimed against the person as stored must be newer than their last change, too.
            changed = person.updated_at // 1000 if claims else 0
            wait = max(told, changed) + 1 - time.time()
            if 0 < wait <= 1:
                time.sleep(wait)
            self._last[person.id] = (int(time.time()), story)
