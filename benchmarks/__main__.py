"""Measure everything: `python -m benchmarks [--quick]`. Exit 1 where a goal is missed."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.chart import chart_of
from benchmarks.figures import FULL, QUICK, Section
from benchmarks.ground import prepared_ground
from benchmarks.machine import describe
from benchmarks.report import as_text, results_of, summary

# In this order: growth copies the people while they are a thousand; bulk drops the index that the peers need.
# Imported when Django has been set up.
SUITES = (
    "benchmarks.warm:warm_requests",
    "benchmarks.growth:growth",
    "benchmarks.load:over_http",
    "benchmarks.storm:storm",
    "benchmarks.deliveries:deliveries",
    "benchmarks.bulk:bulk",
    "benchmarks.startup:startup",
)
FOLDER = Path(__file__).parent
CHART = "Warm authenticated request, median (shorter is better)"


def main() -> int:
    """Measure, print, write; return the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one minute, and nothing is written")
    effort = QUICK if parser.parse_args().quick else FULL
    started = time.monotonic()
    sections: list[Section] = []
    with prepared_ground() as ground:
        machine = describe(ground)
        _say(*machine, "")
        for suite in SUITES:
            module, _, name = suite.partition(":")
            sections.append(getattr(import_module(module), name)(ground, effort))
            _say(as_text(sections[-1]))
    if effort is FULL:
        (FOLDER / "results.md").write_text(results_of(sections, machine=machine), encoding="utf-8")
        chart = chart_of(sections[0].bars, title=CHART, unit="us")
        (FOLDER / "results.svg").write_text(chart, encoding="utf-8")
    lines, missed = summary(sections)
    _say(*lines, f"{time.monotonic() - started:.0f} s")
    return 1 if missed else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
