"""The progress of a command: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 5.0


class Meter(Protocol):
    """A callable that shows how many users of a total are done."""

    def __call__(self, done: int, *, total: int) -> None:
        """Show the progress."""


def silence(done: int, *, total: int) -> None:
    """Show nothing."""


def lines(write: Callable[[str], object], *, task: str) -> Meter:
    """Return a meter that writes a line at most every five seconds."""
    last = time.monotonic()

    def show(done: int, *, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            write(f"{task}: {done:,} of {total:,}")

    return show


@contextmanager
def bar(*, task: str) -> Iterator[Meter]:
    """Draw a progress bar with the time left on the terminal."""
    # rich is slow to import, and most runs have no terminal.
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        task_id = progress.add_task(task, total=None)
        yield lambda done, *, total: progress.update(task_id, completed=done, total=total)
