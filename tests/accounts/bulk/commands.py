"""The bulk commands, run in this process."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

from django.core.management import call_command


def run_json(command: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with --json and return its exit status and its report."""
    output, status = StringIO(), 0
    try:
        call_command(command, "--json", *arguments, stdout=output, stderr=StringIO())
    except SystemExit as error:
        status = int(str(error.code))
    return status, json.loads(output.getvalue())


def get_found(report: dict[str, Any]) -> dict[str, int]:
    """Return the number of differences of each kind that a reconciliation found."""
    return {kind: tally["found"] for kind, tally in report["drift"].items() if tally["found"]}
