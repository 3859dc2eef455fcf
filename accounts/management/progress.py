"""The progress of a command: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 5.0


class Meter(Protocol):
    """A callable that shows how many users of a total are done."""

    def __call__(self, done: int, *, total: int) -> None: ...


def build_line_meter(write: Callable[[str], object], *, task: str) -> Meter:
    """Return a meter that writes at most one line every five seconds."""
    last = time.monotonic()

    def show(done: int, *, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            write(f"{task}: {done:,} of {total:,}")

    return show


@contextmanager
def draw_bar(*, task: str) -> Iterator[Meter]:
    """Draw a progress bar with the remaining time on the terminal, and yield its meter."""
    # rich is slow to import, and most runs have no terminal.
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        task_id = progress.add_task(task, total=None)
        yield lambda done, *, total: progress.update(task_id, completed=done, total=total)
