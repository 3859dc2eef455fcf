"""Argument types of the commands: whole numbers within limits."""

from __future__ import annotations

from argparse import ArgumentTypeError

MAX_NUMBER = 9_999_999
# A century: longer than any row has existed, and today minus this is still a valid date.
MAX_DAYS = 36_500


def positive(text: str) -> int:
    """Parse a whole number from 1. Raises ArgumentTypeError."""
    return _parse_whole_number(text, low=1, high=MAX_NUMBER)


def days(text: str) -> int:
    """Parse a whole number of days from 0 to `MAX_DAYS`. Raises ArgumentTypeError."""
    return _parse_whole_number(text, low=0, high=MAX_DAYS)


def _parse_whole_number(text: str, *, low: int, high: int) -> int:
    is_short = text.isascii() and text.isdigit() and len(text) <= len(str(high))
    if not (is_short and low <= int(text) <= high):
        raise ArgumentTypeError(f"must be a whole number from {low} to {high}")
    return int(text)
