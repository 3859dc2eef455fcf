"""The base class of the operator's commands, with their exit statuses, and the types of their arguments."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, SystemCheckError
from django.db import Error

from accounts.bulk.runs import AlreadyRunning
from accounts.clerk.api import ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed

SECONDS_BETWEEN_LINES = 5.0
FINE, SOME_LEFT, COULD_NOT_RUN = 0, 1, 2
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


class Meter(Protocol):
    """A callable that shows how many users of a total are done."""

    def __call__(self, done: int, *, total: int) -> None: ...


class OperatorCommand(BaseCommand):
    """A command with three exit statuses: 0 success, 1 something is left to do, 2 it could not run.

    Subclasses implement `work(**options) -> int`, which returns the status. Its expected exceptions become 2.
    """

    def handle(self, *_: object, **options: Any) -> None:
        """Run the command and exit with the status. Raises CommandError if it could not run."""
        try:
            code = self.work(**options)
        except AlreadyRunning as error:
            message = f"Another {error} is running, and a second would repeat its work. Wait until it ends."
        except (ClerkAPIError, ImproperlyConfigured, InstanceUnconfirmed) as error:
            message = str(error)
        except Error as error:
            # The text of the error may contain values of a row.
            message = (
                f"The database failed ({type(error).__name__}). Check that it responds and is migrated, then "
                "run the command again. Everything committed so far is kept."
            )
        except KeyboardInterrupt:
            message = "Interrupted. Everything committed so far is kept; run the command again."
        else:
            if code:
                sys.exit(code)
            return
        raise CommandError(message, returncode=COULD_NOT_RUN)

    def work(self, *arguments: Any, **options: Any) -> int:
        """Run the command and return the exit status."""
        raise NotImplementedError

    def check(self, *arguments: Any, **options: Any) -> None:
        """Run the system checks. Raises SystemCheckError with the exit status 2."""
        try:
            super().check(*arguments, **options)
        except SystemCheckError as error:
            error.returncode = COULD_NOT_RUN
            raise

    def print_json(self, report: Mapping[str, object]) -> None:
        """Print one JSON document."""
        self.stdout.write(json.dumps(report, indent=2))

    def print_counts(self, counts: Mapping[str, object]) -> None:
        """Print one line of `name: number` pairs."""
        self.stdout.write(", ".join(f"{name}: {number}" for name, number in counts.items()))

    @contextmanager
    def progress(self, task: str, *, quiet: bool) -> Iterator[Meter]:
        """Yield a meter: a bar on a terminal, else a line every five seconds; it shows nothing if `quiet`."""
        if quiet or not self.stdout.isatty():
            yield self._build_line_meter(task, quiet=quiet)
            return
        # rich is slow to import, and most runs have no terminal.
        from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

        with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
            task_id = progress.add_task(task, total=None)
            yield lambda done, *, total: progress.update(task_id, completed=done, total=total)

    def _build_line_meter(self, task: str, *, quiet: bool) -> Meter:
        last = time.monotonic()

        def show(done: int, *, total: int) -> None:
            nonlocal last
            if not quiet and time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.stdout.write(f"{task}: {done:,} of {total:,}")

        return show
