"""The base class of the operator's commands: three exit statuses, output as text or as JSON."""

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
from accounts.management.progress import Meter, build_line_meter, draw_bar

FINE, SOME_LEFT, COULD_NOT_RUN = 0, 1, 2


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
        """Yield a meter for the progress; it shows nothing if `quiet`."""
        if self.stdout.isatty() and not quiet:
            with draw_bar(task=task) as meter:
                yield meter
        else:
            yield build_line_meter((lambda _: None) if quiet else self.stdout.write, task=task)
