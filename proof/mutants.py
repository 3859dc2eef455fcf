"""Mutation testing: `make mutants` breaks the code in some 2,000 places and counts how many a test notices.

Each module is judged by the tests of its own room alone, in a copy of this tree, on a throwaway PostgreSQL of
its own; two modules at a time. mutmut makes and runs the mutants. The score is written to proof/mutants.md,
beside every survivor with the reason that proof/survivors.toml gives for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.postgres import ThrowawayPostgres

ROOT = Path(__file__).parent.parent
REPORT, REASONS = ROOT / "proof" / "mutants.md", ROOT / "proof" / "survivors.toml"
GOAL = 0.90
SECONDS = 3600
AT_ONCE = 2
CLERK = "tests/accounts/clerk"
# What a mutant may be judged by, the longest first: two modules at a time end together that way.
MODULES: dict[str, Sequence[str]] = {
    "accounts/clerk/keys.py": (f"{CLERK}/test_keys.py", f"{CLERK}/test_pem.py"),
    "accounts/sync.py": (
        "tests/accounts/test_sync.py",
        "tests/accounts/test_signals.py",
        "tests/accounts/test_races.py",
    ),
    "accounts/db.py": (
        "tests/routers/test_requests.py",
        "tests/routers/test_events.py",
        "tests/accounts/test_races.py",
        "tests/accounts/test_sync.py",
    ),
    "webhooks/handlers.py": ("tests/webhooks/test_handlers.py", "tests/webhooks/test_ledger.py"),
    "accounts/merge.py": ("tests/accounts/test_merge.py", "tests/accounts/test_merge_histories.py"),
    "accounts/clerk/tokens.py": (
        f"{CLERK}/test_tokens.py",
        f"{CLERK}/test_signature.py",
        f"{CLERK}/test_pem.py",
    ),
    "accounts/clerk/jwks.py": (f"{CLERK}/test_jwks.py", f"{CLERK}/test_pem.py"),
    "accounts/clerk/profiles.py": (f"{CLERK}/test_profiles.py",),
    "webhooks/signature.py": ("tests/webhooks/test_signature.py",),
    "webhooks/events.py": ("tests/webhooks/test_events.py",),
}
# How mutmut spells the endings in which somebody noticed: a test failed, or never came to its end.
NOTICED = {"killed", "timeout", "suspicious", "segfault"}
OVER = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A mutant that no test noticed: what it changed, and where."""

    module: str
    function: str
    change: str
    ending: str


@dataclass(slots=True, kw_only=True)
class Score:
    """How the mutants of one module ended."""

    module: str
    endings: Counter[str] = field(default_factory=Counter)
    survivors: list[Survivor] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def noticed(self) -> int:
        """Count the mutants that a test noticed."""
        return sum(count for ending, count in self.endings.items() if ending in NOTICED)

    @property
    def total(self) -> int:
        """Count the mutants that were judged."""
        return self.endings.total() - self.endings[OVER]

    @property
    def share(self) -> float:
        """Give the share that was noticed; nothing judged is nothing noticed."""
        return self.noticed / self.total if self.total else 0.0


def main(names: Sequence[str]) -> int:
    """Judge the modules whose paths contain one of the names (all without a name), and write the report."""
    modules = [module for module in MODULES if not names or any(name in module for name in names)]
    deadline = time.monotonic() + SECONDS
    with ThreadPoolExecutor(AT_ONCE) as pool:
        scores = list(pool.map(partial(judged, deadline=deadline), modules))
    text, unexplained = report(scores, reasons=tomllib.loads(REASONS.read_text())["survivor"])
    if names:
        print(text)
    else:
        REPORT.write_text(text)
    short = [score.module for score in scores if score.share < GOAL or score.endings[OVER]]
    print(f"below {GOAL:.0%} or unfinished: {', '.join(short) or 'none'}; not explained: {unexplained}")
    return 1 if short or unexplained else 0


def judged(module: str, *, deadline: float) -> Score:
    """Make the mutants of one module and run the tests against each, until the deadline at most."""
    score, began = Score(module=module), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = _copy(Path(folder) / "tree", module=module)
        server = ThrowawayPostgres()
        try:
            server.start()
            environment = {**os.environ, "TEST_DATABASE_URL": server.url, "CI": "1"}  # CI: no random examples
            _mutmut(tree, "run", "--max-children", "1", environment=environment, deadline=deadline)
        finally:
            server.remove()
        for name, ending in _endings(tree):
            score.endings[ending] += 1
            if ending not in NOTICED | {OVER}:
                score.survivors.append(_survivor(tree, module, name=name, ending=ending))
    score.seconds = time.monotonic() - began
    print(f"{module}: {score.noticed} of {score.total} in {score.seconds:.0f} s", flush=True)
    return score


def _copy(tree: Path, *, module: str) -> Path:
    ignored = shutil.ignore_patterns(
        ".*", "node_modules", "test-output", "__pycache__", "*.sqlite3*", "mutants"
    )
    shutil.copytree(ROOT, tree, ignore=ignored)
    settings = f"only_mutate = {[module]}\npytest_add_cli_args_test_selection = {list(MODULES[module])}\n"
    project = tree / "pyproject.toml"
    project.write_text(project.read_text().replace("[tool.mutmut]\n", f"[tool.mutmut]\n{settings}"))
    return tree


def _mutmut(
    tree: Path, *arguments: str, environment: dict[str, str] | None = None, deadline: float | None = None
) -> str:
    command = [str(Path(sys.executable).parent / "mutmut"), *arguments]
    log = tree / "mutmut.log"
    with log.open("w") as output:
        running = subprocess.Popen(
            command,
            cwd=tree,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = running.wait(None if deadline is None else max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, 15)
            running.wait()
            status = 0  # what was judged until now counts, the rest is named as not checked
    if status != 0:
        raise RuntimeError(f"mutmut {arguments[0]} ended with {status}:\n{log.read_text()[-3000:]}")
    return log.read_text()


def _endings(tree: Path) -> Iterator[tuple[str, str]]:
    for line in _mutmut(tree, "results", "--all", "true").splitlines():
        name, colon, ending = line.strip().partition(": ")
        if colon and "__mutmut_" in name:
            yield name, ending


def _survivor(tree: Path, module: str, *, name: str, ending: str) -> Survivor:
    function = re.sub(r"^.*\.x[_ǁ]|__mutmut_\d+$", "", name).replace("ǁ", ".")
    lines = _mutmut(tree, "show", name).splitlines()
    # The first lines name the file; of the rest those that changed, without their indentation.
    changed = [f"{line[0]} {line[1:].strip()}" for line in lines if re.match(r"[-+](?![-+])", line)]
    return Survivor(module=module, function=function, change=" ".join(changed), ending=ending)


def report(scores: Sequence[Score], *, reasons: Sequence[dict[str, str]]) -> tuple[str, int]:
    """Give the report as Markdown, and how many survivors have no reason."""
    known = {(each["module"], each["function"], each["change"]): each["reason"] for each in reasons}
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`. A mutant is one small change of the code; it is noticed when a test of",
        "the module's own room fails or no longer ends.",
        "",
        "| module | mutants | noticed | score | minutes |",
        "|---|---:|---:|---:|---:|",
    ]
    for score in sorted(scores, key=lambda each: each.module):
        row = (score.module, score.total, score.noticed, f"{score.share:.1%}", f"{score.seconds / 60:.1f}")
        lines.append("| " + " | ".join(map(str, row)) + " |")
    total, noticed = sum(score.total for score in scores), sum(score.noticed for score in scores)
    lines += [f"| **all** | {total} | {noticed} | **{noticed / max(total, 1):.1%}** | |", ""]
    unexplained = 0
    for score in sorted(scores, key=lambda each: each.module):
        if score.endings[OVER]:
            lines += [f"Not judged in time: {score.endings[OVER]} of {score.module}.", ""]
        if score.survivors:
            lines += [f"## {score.module}", "", "| function | change | reason |", "|---|---|---|"]
        for each in score.survivors:
            reason = known.get((each.module, each.function, each.change))
            unexplained += reason is None
            shown = each.change.replace("|", "\\|")
            lines.append(
                f"| {each.function} | `{shown}` | {reason or f'**no reason given** ({each.ending})'} |"
            )
        lines += [""] if score.survivors else []
    return "\n".join(lines), unexplained


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
