"""Print the sync report."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.conf import get_key_source, is_database_malformed
from health.report.build import Report, build_report
from health.report.facts import KeyFacts

OK, DEGRADED, CANNOT_DECIDE = range(3)


class Command(BaseCommand):
    """`sync_health`: exit status 0 ok, 1 degraded, 2 if it cannot decide."""

    help = "Report whether this database agrees with Clerk; exit 0 ok, 1 degraded, 2 cannot decide."
    # Failed system checks must not stop the report on a broken setup.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print the JSON of /health/sync")

    def handle(self, *args: Any, **options: Any) -> None:
        """Build the report, print it, exit with its status."""
        if missing := _missing_settings():
            raise CommandError(
                f"There is no report, because the settings name no usable {missing}. "
                "`manage.py clerk_doctor` reports which setting is wrong and what to do.",
                returncode=CANNOT_DECIDE,
            )
        report = build_report(now=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), cls=DjangoJSONEncoder, indent=2))
        else:
            for line in _lines(report):
                self.stdout.write(line)
        if report.is_database_unavailable:
            sys.exit(CANNOT_DECIDE)
        sys.exit(DEGRADED if report.reasons else OK)


def _missing_settings() -> str:
    if is_database_malformed():
        return "database"
    try:
        get_key_source()
    except ValueError:
        return "key to verify tokens with"
    return ""


def _lines(report: Report) -> Iterator[str]:
    yield f"status: {report.status}"
    yield f"open failures: {report.failures.open}"
    webhooks = report.webhooks
    yield f"webhooks: {webhooks.state}, last received {_format_time(webhooks.last_received_at) or 'never'}"
    if webhooks.lag_seconds.p95 is not None:
        lag = webhooks.lag_seconds
        yield f"webhook lag of the last day: p50 {lag.p50} s, p95 {lag.p95} s"
    if webhooks.rejected is not None:
        yield f"webhooks of the last day: rejected {webhooks.rejected}, failed {webhooks.failed}"
    yield f"keys: {report.keys.mode}, {_describe_age(report.keys)}"
    if report.people is not None:
        yield f"users: {report.people.live}, without a profile {report.people.without_profile}"
    for name, run in report.runs.items():
        yield f"last {name}: {f'{run.status} {_format_time(run.finished_at)}'.rstrip() if run else 'none'}"
    for label, entries in (("problem", report.reasons), ("note", report.notes)):
        for entry in entries:
            yield from ("", f"{label}: {entry.detail}", f"next: {entry.next_step}")


def _format_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def _describe_age(keys: KeyFacts) -> str:
    if keys.mode == "pem":
        return "set in CLERK_JWT_KEY"
    if keys.age_seconds is None:
        return "not fetched by this process: /health/sync shows the age in a process that serves requests"
    return f"{keys.age_seconds:.0f} s old"
