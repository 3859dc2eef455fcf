"""A small benchmark run: `python -m tests.benchmarks.small SETTINGS` prints its results as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

from benchmarks.environment import Environment, prepared_environment


def run_benchmark(environment: Environment) -> dict[str, object]:
    """Check and count every installed peer, and check one that accepts every request."""
    from benchmarks.correctness import WrongAnswer, check_answers
    from benchmarks.in_process import Site
    from benchmarks.peers import installed_peers, missing_peers
    from benchmarks.warm import cost_of_requests

    site = Site()
    costs = {}
    for peer in installed_peers():
        check_answers(peer, site=site, environment=environment)
        costs[peer.name] = asdict(cost_of_requests(peer, site=site, environment=environment, count=5))
    accepts_all = next(each for each in installed_peers() if each.name == "none")
    try:
        check_answers(replace(accepts_all, refuses=True), site=site, environment=environment)
    except WrongAnswer as wrong:
        return {"costs": costs, "missing": missing_peers(), "wrong_answer": str(wrong)}
    return {"costs": costs, "missing": missing_peers(), "wrong_answer": None}


if __name__ == "__main__":
    with prepared_environment(sys.argv[1]) as environment:
        json.dump(run_benchmark(environment), sys.stdout)
