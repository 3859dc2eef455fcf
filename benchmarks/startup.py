"""P6: how long `manage.py check` takes, beside the same site without us."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.figures import Effort, Figure, Section
from benchmarks.ground import Ground
from benchmarks.measure import ratio, take_turns

SITES = {"ours": "config.settings", "without us": "benchmarks.without_us"}


def startup(ground: Ground, effort: Effort) -> Section:
    """Start both in turns."""
    actions = {name: lambda _, settings=settings: _check(settings) for name, settings in SITES.items()}
    take_turns(actions, rounds=1)  # so that all is compiled, and in the system's cache
    series = take_turns(actions, rounds=effort.starts)
    return Section(
        title="Start-up",
        figures=[
            Figure(
                goal="P6",
                what="`manage.py check` beside the same site without us",
                value=ratio(series["ours"], series["without us"]),
                at_most=1.25,
            )
        ],
        head=("site", "p50 ms"),
        rows=[[name, f"{own.p50 * 1e3:.0f}"] for name, own in series.items()],
    )


def _check(settings: str) -> None:
    command = [sys.executable, "manage.py", "check"]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    subprocess.run(command, env=environment, check=True, capture_output=True)
