"""Logging: JSON lines outside debug, plain lines in debug, the request's id on both, and nothing personal.

A path, a host header or the text of an exception may hold whatever a stranger typed or a row contains, so
outside debug none of them reaches a line: a failure is told by its class and the place in the code.
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
    """Give Django's LOGGING."""
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
            # Django's own handlers would print some records twice.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            # A 4xx is the client's business, and has its line from the request middleware.
            "django.request": {"level": "ERROR"},
            # It says each retry; whoever asked says in the end what came of them.
            "urllib3": {"level": "ERROR"},
        },
    }


class JSONLineFormatter(JsonFormatter):
    """One JSON object a line; an exception is its classes and code places, without their texts."""

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        """Describe the exception and what it came from, the cause first."""
        return "\n".join(_describe(error) for error in reversed(list(_chain(ei[1]))))


class PlainLineFormatter(logging.Formatter):
    """One plain line for a developer; an unexpected error shows its class and its place in the code."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Add the class and the place to the line, if the record has them."""
        line = super().formatMessage(record)
        found = [str(getattr(record, name)) for name in ("error", "place") if getattr(record, name, None)]
        return f"{line} {' at '.join(found)}" if found else line


class ConstantMessageFilter(logging.Filter):
    """Replace the messages that Django makes of a stranger's words: the path, the host header, the form."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; those of django.request and django.security lose their variable part."""
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
