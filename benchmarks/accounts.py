"""P2b: the warm request of all peers in a project with users of its own; ours joins its `ClerkAccount`.

The user model belongs to the settings, so a process of its own runs this: `python -m benchmarks.accounts`
prints its section as JSON. All peers take turns in that process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module

from benchmarks.environment import Environment, prepared_environment
from benchmarks.figures import Effort, Figure, Section

SETTINGS = "benchmarks.account_settings"
LABEL = "django-clerk-sync, ClerkAccount"


def account_requests(environment: Environment, effort: Effort) -> Section:
    """Run the comparison in its own process, with its own server, and return its section."""
    command = [sys.executable, "-m", "benchmarks.accounts", str(effort.account_rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    section = json.loads(done.stdout)
    section["figures"] = [Figure(**figure) for figure in section["figures"]]
    return Section(**section)


def compare_with_accounts(environment: Environment, *, rounds: int) -> Section:
    """Compare all peers in this process, which uses `SETTINGS`."""
    warm = import_module("benchmarks.warm")  # it imports models
    compared = warm.compare_peers(environment, rounds=rounds)
    section: Section = warm.build_section(
        compared,
        title="Warm authenticated request with ClerkAccount, in process",
        label=LABEL,
        figures=[
            *warm.count_figures(compared, goal="P2b", what="warm request with ClerkAccount"),
            *warm.ratio_figures(
                compared,
                goal="P2b",
                what="warm request with ClerkAccount",
                at_most={"token": 0.75},
                # Quicker than every peer.
                speedups=dict.fromkeys(warm.MINIMUM_SPEEDUP, 1.0),
            ),
        ],
    )
    return section


if __name__ == "__main__":
    with prepared_environment(SETTINGS) as prepared:
        json.dump(asdict(compare_with_accounts(prepared, rounds=int(sys.argv[1]))), sys.stdout)
