"""Measured figures and their goals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure and its goal. Two equal bounds mean exactly that value."""

    goal: str
    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_reached(self) -> bool:
        """Return whether the goal is reached."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def bound(self) -> str:
        """Return the goal as a comparison, such as `<= 0.70`."""
        if self.at_most is not None and self.at_most == self.at_least:
            return f"= {format_number(self.at_most)}"
        if self.at_most is not None:
            return f"<= {format_number(self.at_most)}"
        return "" if self.at_least is None else f">= {format_number(self.at_least)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The results of one benchmark: its figures, a table, notes and the bars of a chart."""

    title: str
    figures: Sequence[Figure] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    bars: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much each benchmark measures."""

    warm_rounds: int
    account_rounds: int
    http_rounds: int
    sizes: Sequence[int]
    growth_rounds: int
    pages: int
    delivery_rounds: int
    mixed_seconds: int
    starts: int


FULL = Effort(
    warm_rounds=120,
    account_rounds=60,
    http_rounds=40,
    sizes=(1_000, 100_000, 1_000_000),
    growth_rounds=120,
    pages=20,
    delivery_rounds=40,
    mixed_seconds=60,
    starts=9,
)
QUICK = Effort(
    warm_rounds=15,
    account_rounds=10,
    http_rounds=4,
    sizes=(1_000, 100_000),
    growth_rounds=30,
    pages=6,
    delivery_rounds=10,
    mixed_seconds=6,
    starts=3,
)


def format_number(value: float) -> str:
    """Return whole numbers without and others with two decimals."""
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def microseconds(seconds: float) -> str:
    """Return a duration as a whole number of microseconds."""
    return f"{seconds * 1e6:.0f}"
