"""The log line of an unexpected exception: its class and place, never its text.

The text and the traceback of an exception may hold a token or the values of a row.
"""

from __future__ import annotations

import logging
import traceback


def log_unexpected(logger: logging.Logger, message: str, *, error: BaseException) -> None:
    """Log the constant `message` as an error, with the exception's class and the line that raised it."""
    logger.error(message, extra={"error": type(error).__name__, "place": _place(error)})


def _place(error: BaseException) -> str:
    for frame in traceback.extract_tb(error.__traceback__, limit=-1):
        return f"{frame.filename}:{frame.lineno} in {frame.name}"
    return ""
