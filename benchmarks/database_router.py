"""Select one of several databases for all queries: one database for each table size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_selected: ContextVar[str] = ContextVar("alias", default="default")


class Router:
    """Database router that sends every query to the selected database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """Return the alias of the selected database."""
        return _selected.get()

    db_for_write = db_for_read


@contextmanager
def use_database(alias: str) -> Iterator[None]:
    """Send all queries of this context to the database with this alias."""
    token = _selected.set(alias)
    try:
        yield
    finally:
        _selected.reset(token)
