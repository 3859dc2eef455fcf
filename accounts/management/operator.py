"""What the operator's commands share: three exit codes, and output for people and for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, SystemCheckError
from django.db import Error

from accounts.bulk.runs import AlreadyRunning
from accounts.clerk.api import ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed
from accounts.management.progress import Meter, bar, lines, silence

FINE, SOME_LEFT, COULD_NOT_RUN = 0, 1, 2


class OperatorCommand(BaseCommand):
    """A command with three endings: 0 fine, 1 something is left to do, 2 it could not run.

    Subclasses write `work(**options) -> int`, which returns 0, 1 or 2; what it raises becomes 2 here.
    """

    def handle(self, *_: object, **options: Any) -> None:
        """Run, and end with the exit code."""
        try:
            code = self.work(**options)
        except AlreadyRunning as error:
            message = f"Another {error} is running, and a second would do the same work again: wait for it."
        except (ClerkAPIError, ImproperlyConfigured, InstanceUnconfirmed) as error:
            message = str(error)
        except Error as error:
            # Its text holds values of the row.
            message = (
                f"The database failed ({type(error).__name__}). See that it answers and is migrated, then "
                "run the command again; what was committed stays."
            )
        except KeyboardInterrupt:
            message = "Interrupted. What was committed stays; run the command again."
        else:
            if code:
                sys.exit(code)
            return
        raise CommandError(message, returncode=COULD_NOT_RUN)

    def work(self, *arguments: Any, **options: Any) -> int:
        """Do what the command is for."""
        raise NotImplementedError

    def check(self, *arguments: Any, **options: Any) -> None:
        """Run the system checks; with settings that are wrong the command cannot run."""
        try:
            super().check(*arguments, **options)
        except SystemCheckError as error:
            error.returncode = COULD_NOT_RUN
            raise

    def print_json(self, report: Mapping[str, object]) -> None:
        """Print one JSON document."""
        self.stdout.write(json.dumps(report, indent=2))

    def print_counts(self, counts: Mapping[str, object]) -> None:
        """Print one line of `name: number`, the way logs like it."""
        self.stdout.write(", ".join(f"{name}: {number}" for name, number in counts.items()))

    @contextmanager
    def progress(self, task: str, *, quiet: bool) -> Iterator[Meter]:
        """Yield a meter for the progress; it shows nothing if `quiet`."""
        if quiet:
            yield silence
        elif self.stdout.isatty():
            with bar(task=task) as meter:
                yield meter
        else:
            yield lines(self.stdout.write, task=task)
