"""How far a command came: a bar with rate and time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 5.0


class Meter(Protocol):
    """Hears how many people are done, of how many."""

    def __call__(self, done: int, *, total: int) -> None:
        """Show it."""


def silence(done: int, *, total: int) -> None:
    """Show nothing."""


def lines(write: Callable[[str], object], *, doing: str) -> Meter:
    """Write a line at most every five seconds."""
    last = time.monotonic()

    def show(done: int, *, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            write(f"{doing}: {done:,} of {total:,}")

    return show


@contextmanager
def bar(*, doing: str) -> Iterator[Meter]:
    """Draw a bar on the terminal."""
    # rich is slow to import, and most runs have no terminal.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    first: int | None = None
    with Progress(*columns) as progress:
        task = progress.add_task(doing, total=None, rate=0.0)

        def show(done: int, *, total: int) -> None:
            nonlocal first
            first = done if first is None else first
            rate = (done - first) / max(time.monotonic() - started, 0.001)
            progress.update(task, completed=done, total=total, rate=rate)

        yield show
