"""Which of several databases Django asks: one for each size of the table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_current: ContextVar[str] = ContextVar("room", default="default")


class Router:
    """Django's router: everything goes to the present room."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """Name the room."""
        return _current.get()

    db_for_write = db_for_read


@contextmanager
def in_room(name: str) -> Iterator[None]:
    """Ask the database of this alias meanwhile."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)
