"""Logging: JSON lines outside debug, plain lines in debug, both with the request id and no personal data.

A path, a host header or the text of an exception may contain any input of a client or any value of a row.
Outside debug none of them is logged: a failure is logged as its class and its place in the code.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def logging_config(*, debug: bool) -> dict[str, Any]:
    """Return the value of Django's LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "constant_message": {"()": "config.logging.ConstantMessageFilter"},
            "request_id": {"()": "api.middleware.RequestIDFilter"},
        },
        "formatters": {
            "plain": {
                "()": "config.logging.PlainLineFormatter",
                "fmt": "{asctime} {levelname:<7} {name} {message} [{request_id}]",
                "style": "{",
            },
            "json": {
                "()": "config.logging.JSONLineFormatter",
                "fmt": ["timestamp", "levelname", "name", "message"],
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": True,
            },
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "plain" if debug else "json",
                "filters": ["request_id"] if debug else ["constant_message", "request_id"],
            },
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            # Django's own handlers would write some records twice.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            # The request middleware logs each 4xx already.
            "django.request": {"level": "ERROR"},
            # It logs each retry; the caller logs or reports the result.
            "urllib3": {"level": "ERROR"},
            # Its warnings hold the database's error text; the work that fails is reported by its code.
            "psycopg.pool": {"level": "ERROR"},
        },
    }


class JSONLineFormatter(JsonFormatter):
    """Writes one JSON object per line; an exception becomes its classes and code places, without texts."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        """Describe the exception and its causes, the first cause first."""
        return "\n".join(_describe(error) for error in reversed(list(_chain(ei[1]))))


class PlainLineFormatter(logging.Formatter):
    """One plain line for a developer; an unexpected error shows its class and its place in the code."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add the class and the place to the line, if the record has them."""
        line = super().formatMessage(record)
        found = [str(getattr(record, name)) for name in ("error", "place") if getattr(record, name, None)]
        return f"{line} {' at '.join(found)}" if found else line


class ConstantMessageFilter(logging.Filter):
    """Replaces messages of Django that contain input of a client: the path, the host header, the form."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; remove the variable part of those of django.request and django.security."""
        if record.name == "django.request":
            record.msg, record.args = "The request failed", ()
        elif record.name.startswith("django.security"):
            record.msg, record.args, record.exc_info = "A suspicious request was refused", (), None
        return True


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _describe(error: BaseException) -> str:
    places = (
        f"  {place.filename}:{place.lineno} in {place.name}"
        for place in traceback.extract_tb(error.__traceback__)
    )
    kind = type(error)
    return "\n".join((f"{kind.__module__}.{kind.__qualname__}", *places))
