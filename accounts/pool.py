"""Discard a connection that cannot be used any more, with a pool its idle connections too.

Note [The pool after a restart of the server]
A pool lends connections without a check, which would double the statements of a warm request. After a
restart of the server all its connections are dead, and after a fail-over all of them lead to the old server.
Work that runs once more would be lent the next of them. So the first failure drains the pool: it closes and
replaces idle connections at once, and lent ones when they are returned. Work that was lent its connection
before that needs no second drain.
"""

from __future__ import annotations

import threading
import time
from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

_lock = threading.Lock()
_drained_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def discard_connection(connection: BaseDatabaseWrapper, *, started_at: float) -> None:
    """Close this thread's connection, so that the next statement uses a new one.

    `started_at` is the monotonic time at which the work that failed had its connection.
    """
    pool = getattr(connection, "pool", None)
    if pool is not None:
        with _lock:
            if _drained_at.get(pool, 0.0) <= started_at:
                pool.drain()
                _drained_at[pool] = time.monotonic()
    connection.close()
