"""When unknown key ids were first seen."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256

MAX_KIDS = 1024


class UnknownKids:
    """Remembers the last 1,024 unknown ids, each with the count of fetches at its first use. Thread-safe.

    A count orders the fetches and the uses of an id exactly; two readings of a clock may be equal. Digests
    are kept in place of the ids: a token may hold an id of several kilobytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def first_seen(self, kid: str, *, fetches_begun: int) -> int:
        """Return how many fetches had begun when this id was first seen: now, if it is new."""
        digest = _digest(kid)
        with self._lock:
            seen = self._seen.setdefault(digest, fetches_begun)
            self._seen.move_to_end(digest)
            if len(self._seen) > MAX_KIDS:
                self._seen.popitem(last=False)
        return seen

    def forget(self, kids: Iterable[str]) -> None:
        """Drop ids that are known now."""
        with self._lock:
            for kid in kids:
                self._seen.pop(_digest(kid), None)


def _digest(kid: str) -> bytes:
    return sha256(kid.encode(errors="surrogatepass")).digest()  # JSON can spell half a surrogate pair
