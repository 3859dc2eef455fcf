"""Unexpected exceptions: logged by class and place, never by text.

The text of an exception, and the source lines and values of a traceback, may hold the token or a row.
"""

from __future__ import annotations

import logging


def log_unexpected(logger: logging.Logger, message: str, *, error: Exception) -> None:
    """Log the constant `message` as an error, with the exception's class and the place that raised it."""
    logger.error(message, extra={"error": type(error).__name__, "place": _place(error)})


def _place(error: Exception) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
