"""Run every benchmark: `python -m benchmarks [--quick]`. The exit status is 1 if a goal is missed."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.chart import chart_of
from benchmarks.environment import prepared_environment
from benchmarks.figures import FULL, QUICK, Section
from benchmarks.machine import describe
from benchmarks.report import format_results, format_section, summary

# The order matters: growth copies the database while it has a thousand users, and bulk drops the index that
# the peers need. The modules are imported when Django has been set up.
SUITES = (
    "benchmarks.warm:warm_requests",
    "benchmarks.accounts:account_requests",
    "benchmarks.growth:growth",
    "benchmarks.load:over_http",
    "benchmarks.mixed_load:mixed_load",
    "benchmarks.first_requests:first_requests",
    "benchmarks.cold_path:cold_path",
    "benchmarks.bulk:bulk",
    "benchmarks.startup:startup",
    "benchmarks.memory:memory",
)
FOLDER = Path(__file__).parent
CHART = "Warm authenticated request, median (shorter is better)"


def main() -> int:
    """Run the benchmarks, print and write the results; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take one minute and write nothing")
    effort = QUICK if parser.parse_args().quick else FULL
    started = time.monotonic()
    sections: list[Section] = []
    with prepared_environment() as environment:
        machine = describe(environment)
        _print(*machine, "")
        for suite in SUITES:
            module, _, name = suite.partition(":")
            sections.append(getattr(import_module(module), name)(environment, effort))
            _print(format_section(sections[-1]))
    if effort is FULL:
        (FOLDER / "results.md").write_text(format_results(sections, machine=machine), encoding="utf-8")
        chart = chart_of(sections[0].bars, title=CHART, unit="us")
        (FOLDER / "results.svg").write_text(chart, encoding="utf-8")
    lines, missed = summary(sections)
    _print(*lines, f"{time.monotonic() - started:.0f} s")
    return 1 if missed else 0


def _print(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
