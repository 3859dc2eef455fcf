"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

MOST = 9_999_999
# Longer ago than anything here, and far from the year 1, where dates end.
A_CENTURY = 36_500


def positive(text: str) -> int:
    """Read a whole number from 1."""
    return _whole(text, low=1, high=MOST)


def days(text: str) -> int:
    """Read a whole number of days: from 0 to a century."""
    return _whole(text, low=0, high=A_CENTURY)


def _whole(text: str, *, low: int, high: int) -> int:
    is_short = text.isascii() and text.isdigit() and len(text) <= len(str(high))
    if not (is_short and low <= int(text) <= high):
        raise ArgumentTypeError(f"must be a whole number from {low} to {high}")
    return int(text)
