"""Report what is wrong with the setup."""

from __future__ import annotations

import json as json_module
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from health.doctor.examine import examine
from health.doctor.findings import Finding, Level, worst

EXIT_CODES = {Level.OK: 0, Level.WARNING: 1, Level.ERROR: 2}


class Command(BaseCommand):
    """`clerk_doctor`: exit status 0 without findings, 1 for warnings, 2 for errors."""

    help = "Examine settings, keys, clock, Backend API, webhooks and, with --token, a session token."
    # Failed system checks become findings; they must not stop the command.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--token", metavar="T", help="a session token to examine; it is not printed")
        parser.add_argument(
            "--webhook-url",
            metavar="URL",
            help="the address of the webhook endpoint: it gets one delivery without a signature",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *, token: str | None, webhook_url: str | None, json: bool, **_: Any) -> None:
        """Examine the setup, print the findings, exit with their status."""
        findings = examine(token=token, clock=timezone.now, webhook_url=webhook_url)
        status = worst(findings)
        if json:
            report = {"status": status, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json_module.dumps(report, indent=2))
        else:
            self._print(findings)
        if code := EXIT_CODES[status]:
            sys.exit(code)

    def _print(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self.stdout.write(f"[{finding.level}] {finding.what}")
            for label, text in (("why", finding.why), ("do", finding.to_do)):
                if text:
                    self.stdout.write(f"    {label}: {text}")
