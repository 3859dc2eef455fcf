"""P6: the duration of `manage.py check`, compared with a plain Django and DRF site."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.environment import Environment
from benchmarks.figures import Effort, Figure, Section
from benchmarks.measure import ratio, take_turns

SITES = {"ours": "config.settings", "baseline": "benchmarks.baseline_settings"}


def startup(environment: Environment, effort: Effort) -> Section:
    """Run `manage.py check` of both sites in turns."""
    actions = {name: lambda _, settings=settings: _run_check(settings) for name, settings in SITES.items()}
    take_turns(actions, rounds=1)  # to compile all modules and fill the cache of the file system
    series = take_turns(actions, rounds=effort.starts)
    return Section(
        title="Start-up",
        figures=[
            Figure(
                goal="P6",
                what="`manage.py check` relative to a site without this project",
                value=ratio(series["ours"], series["baseline"]),
                at_most=1.20,
            )
        ],
        head=("site", "p50 ms"),
        rows=[[name, f"{own.p50 * 1e3:.0f}"] for name, own in series.items()],
    )


def _run_check(settings: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    variables = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    subprocess.run(command, env=variables, check=True, capture_output=True)
