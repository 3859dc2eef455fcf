"""Run `clerk_doctor` in this process, and read its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any

from django.core.management import call_command

FINE, WARNINGS, ERRORS = 0, 1, 2


def examine(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command and return its exit status and its JSON report."""
    output, code = StringIO(), 0
    try:
        call_command("clerk_doctor", "--json", *arguments, stdout=output)
    except SystemExit as ending:
        code = int(str(ending.code))
    return code, json.loads(output.getvalue())


def texts(report: Mapping[str, Any], level: str) -> str:
    """Return the texts of all findings of this level."""
    chosen = [finding for finding in report["findings"] if finding["level"] == level]
    return "\n".join(" ".join(finding.values()) for finding in chosen)
