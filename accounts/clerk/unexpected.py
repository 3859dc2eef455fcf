"""The log line of an unexpected exception: its class and place, never its text.

The text and the traceback of an exception may hold a token or the values of a row.
"""

from __future__ import annotations

import logging


def log_unexpected(logger: logging.Logger, message: str, *, error: Exception) -> None:
    """Log the constant `message` as an error, with the exception's class and the line that raised it."""
    logger.error(message, extra={"error": type(error).__name__, "place": _place(error)})


def _place(error: Exception) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
