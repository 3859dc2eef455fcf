"""The sync report on the command line."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.conf import get_key_source
from health.report.build import Report, build_report
from health.report.facts import KeyFacts
from health.report.reasons import Reason

OK, DEGRADED, CANNOT_TELL = range(3)


class Command(BaseCommand):
    """Print the report; exit 0 when all is well, 1 when degraded, 2 when it cannot tell."""

    help = "Says whether what is known here is what Clerk knows; exit 0 ok, 1 degraded, 2 cannot tell."
    # A report on a broken set-up must not stop at the first check that fails.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --json."""
        parser.add_argument("--json", action="store_true", help="Print what /health/sync answers.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Build the report, print it, exit."""
        if missing := _missing_settings():
            raise CommandError(
                f"Nothing can be told: the settings name no usable {missing}. "
                "`manage.py clerk_doctor` says which setting is wrong and what to do.",
                returncode=CANNOT_TELL,
            )
        report = build_report(now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), cls=DjangoJSONEncoder, indent=2))
        else:
            for line in _lines(report):
                self.stdout.write(line)
        sys.exit(_exit_code(report))


def _missing_settings() -> str:
    # A stand-in takes the place of an address that is malformed: it knows nothing of these people.
    if {"DATABASE_URL", "DATABASE_URL_FILE"} & {variable for variable, _ in settings.ENV_PROBLEMS}:
        return "database"
    try:
        get_key_source()
    except ValueError:
        return "key to verify tokens with"
    return ""


def _exit_code(report: Report) -> int:
    if report.is_database_unavailable:
        return CANNOT_TELL
    return DEGRADED if report.reasons else OK


def _lines(report: Report) -> Iterator[str]:
    yield f"status: {report.status}"
    yield f"open failures: {report.failures.open}"
    webhooks = report.webhooks
    yield f"webhooks: {webhooks.state}, last received {_moment(webhooks.last_received_at) or 'never'}"
    if webhooks.lag_seconds.p95 is not None:
        lag = webhooks.lag_seconds
        yield f"webhook lag of the last day: p50 {lag.p50} s, p95 {lag.p95} s"
    if webhooks.rejected is not None:
        yield f"webhooks of the last day: rejected {webhooks.rejected}, failed {webhooks.failed}"
    yield f"keys: {report.keys.mode}, {_age(report.keys)}"
    if report.people is not None:
        yield f"people: {report.people.live}, of them without a profile {report.people.without_profile}"
    for name, run in report.runs.items():
        yield f"last {name}: {f'{run.status} {_moment(run.finished_at)}'.rstrip() if run else 'none'}"
    for word, entries in (("wrong", report.reasons), ("to know", report.notes)):
        yield from (line for entry in entries for line in _explain(entry, word=word))


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def _age(keys: KeyFacts) -> str:
    if keys.mode == "pem":
        return "set in CLERK_JWT_KEY"
    # Each process has its own, and this one verifies no token.
    return (
        "age unknown here: /health/sync asks a process that serves"
        if keys.age_seconds is None
        else (f"{keys.age_seconds:.0f} s old")
    )


def _explain(entry: Reason, *, word: str) -> Iterator[str]:
    yield ""
    yield f"{word}: {entry.detail}"
    yield f"next: {entry.next_step}"
