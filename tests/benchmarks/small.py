"""A benchmark in small: `python -m tests.benchmarks.small` prints as JSON what it found."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

from benchmarks.ground import Ground, prepared_ground


def found(ground: Ground) -> dict[str, object]:
    """Judge and count everybody who is installed, and judge somebody who believes everything."""
    from benchmarks.contenders import contenders, missing
    from benchmarks.in_process import Site
    from benchmarks.judge import WrongAnswer, judge
    from benchmarks.warm import cost_of_requests

    site = Site()
    costs = {}
    for contender in contenders():
        judge(contender, site=site, ground=ground)
        costs[contender.name] = asdict(cost_of_requests(contender, site=site, ground=ground, count=5))
    nobody = next(each for each in contenders() if each.name == "nobody")
    try:
        judge(replace(nobody, refuses=True), site=site, ground=ground)
    except WrongAnswer as wrong:
        return {"costs": costs, "missing": missing(), "found_out": str(wrong)}
    return {"costs": costs, "missing": missing(), "found_out": None}


if __name__ == "__main__":
    with prepared_ground() as ground:
        json.dump(found(ground), sys.stdout)
