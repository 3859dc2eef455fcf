"""Numbers on the command line."""

from __future__ import annotations

from argparse import ArgumentTypeError

DIGITS = 7


def positive(text: str) -> int:
    """Read a whole number from 1."""
    return _whole(text, low=1)


def days(text: str) -> int:
    """Read a whole number of days from 0."""
    return _whole(text, low=0)


def _whole(text: str, *, low: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text) >= low):
        raise ArgumentTypeError(f"must be a whole number from {low}, of at most {DIGITS} digits")
    return int(text)
