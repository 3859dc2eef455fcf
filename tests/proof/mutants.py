"""Mutation testing: `make mutants` makes some 3,400 small changes and counts those that a test detects.

mutmut creates the mutants and runs only the tests of the changed module, in a copy of this tree, on a
throwaway PostgreSQL; three modules at a time. tests/proof/mutants.md has the score, and each survivor with
its reason from tests/proof/survivors.toml.
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

from tests.packages import PRODUCT
from tests.postgres import ThrowawayPostgres
from tests.proof.mutated import ACCOUNT_SETTINGS, ACCOUNT_TESTS, MODULES

ROOT = Path(__file__).parent.parent.parent
REPORT, REASONS = Path(__file__).with_name("mutants.md"), Path(__file__).with_name("survivors.toml")
MINIMUM_SCORE = 0.90
TIME_LIMIT_SECONDS = 3600
CONCURRENT_MODULES = 3
# The results of mutmut that count as detected: a test failed or did not end.
DETECTED = {"killed", "timeout", "suspicious", "segfault"}
NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A mutant that no test detected: what it changes, and where."""

    module: str
    function: str
    change: str
    result: str


@dataclass(slots=True, kw_only=True)
class Score:
    """The results of the mutants of one module."""

    module: str
    results: Counter[str] = field(default_factory=Counter)
    survivors: list[Survivor] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def detected(self) -> int:
        """Return the number of mutants that a test detected."""
        return sum(count for result, count in self.results.items() if result in DETECTED)

    @property
    def total(self) -> int:
        """Return the number of mutants that were tested."""
        return self.results.total() - self.results[NOT_CHECKED]

    @property
    def share(self) -> float:
        """Return the share of the tested mutants that was detected, 0 without any."""
        return self.detected / self.total if self.total else 0.0


def main(names: Sequence[str]) -> int:
    """Test the modules whose paths contain one of the names (all without a name); return the exit status.

    A run of all modules writes the report, others print it.
    """
    modules = [module for module in MODULES if not names or any(name in module for name in names)]
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    with ThreadPoolExecutor(CONCURRENT_MODULES) as pool:
        scores = list(pool.map(partial(try_mutants, deadline=deadline), modules))
    text, unexplained = report(scores, reasons=tomllib.loads(REASONS.read_text())["survivor"])
    if names:
        print(text)
    else:
        REPORT.write_text(text)
    short = [score.module for score in scores if score.share < MINIMUM_SCORE or score.results[NOT_CHECKED]]
    print(
        f"below {MINIMUM_SCORE:.0%} or unfinished: {', '.join(short) or 'none'}; not explained: {unexplained}"
    )
    return 1 if short or unexplained else 0


def try_mutants(module: str, *, deadline: float) -> Score:
    """Do as `run_mutants`; a module whose tests cannot run counts as not checked, and the others go on."""
    try:
        return run_mutants(module, deadline=deadline)
    except RuntimeError as error:
        print(f"{module}: {error}", flush=True)
        return Score(module=module, results=Counter({NOT_CHECKED: 1}))


def run_mutants(module: str, *, deadline: float) -> Score:
    """Run the tests of one module against each of its mutants, until the deadline."""
    score, began = Score(module=module), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = _copy_tree(Path(folder) / "tree", module=module, tests=MODULES[module])
        server = ThrowawayPostgres()
        try:
            server.start()
            environment = {**os.environ, "TEST_DATABASE_URL": server.url, "CI": "1"}  # CI: no random examples
            _run(tree, environment=environment, deadline=deadline)
            results = dict(_read_results(tree))
            left = [name for name, result in results.items() if result not in DETECTED | {NOT_CHECKED}]
            if left and module in ACCOUNT_TESTS:
                other = _copy_tree(Path(folder) / "other", module=module, tests=ACCOUNT_TESTS[module])
                environment |= {
                    "DJANGO_SETTINGS_MODULE": ACCOUNT_SETTINGS,
                    "FOREIGN_DATABASE_URL": server.url,
                }
                _run(other, *left, environment=environment, deadline=deadline)
                results |= {name: found for name, found in _read_results(other) if found in DETECTED}
        finally:
            server.remove()
        for name, result in results.items():
            score.results[result] += 1
            if result not in DETECTED | {NOT_CHECKED}:
                score.survivors.append(_survivor(tree, module, name=name, result=result))
    score.seconds = time.monotonic() - began
    print(f"{module}: {score.detected} of {score.total} in {score.seconds:.0f} s", flush=True)
    return score


def _run(tree: Path, *names: str, environment: dict[str, str], deadline: float) -> None:
    """Test the named mutants, or all of them."""
    _mutmut(tree, "run", "--max-children", "1", *names, environment=environment, deadline=deadline)


def _copy_tree(tree: Path, *, module: str, tests: Sequence[str]) -> Path:
    ignored = shutil.ignore_patterns(
        ".*", "node_modules", "test-output", "__pycache__", "*.sqlite3*", "mutants"
    )
    shutil.copytree(ROOT, tree, ignore=ignored)
    mutated = {name.partition("/")[0] for name in MODULES}
    others = [*(name for name in PRODUCT if name not in mutated), "devclerk", "manage.py"]
    settings = (
        f"only_mutate = {[module]}\n"
        f"pytest_add_cli_args_test_selection = {list(tests)}\n"
        f"also_copy = {others}\n"
    )
    project = tree / "pyproject.toml"
    text = project.read_text().replace("[tool.mutmut]\n", f"[tool.mutmut]\n{settings}")
    if tests is not MODULES[module]:
        # A project loads its own settings, without the environment of our tests.
        text = text.replace('["-p", "no:cacheprovider"]', '["-p", "no:cacheprovider", "-o", "addopts="]')
    project.write_text(text)
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
            status = 0  # the mutants tested so far count, the others are listed as not checked
    if status != 0:
        raise RuntimeError(f"mutmut {arguments[0]} ended with {status}:\n{log.read_text()[-3000:]}")
    return log.read_text()


def _read_results(tree: Path) -> Iterator[tuple[str, str]]:
    for line in _mutmut(tree, "results", "--all", "true").splitlines():
        name, colon, result = line.strip().partition(": ")
        if colon and "__mutmut_" in name:
            yield name, result


def _survivor(tree: Path, module: str, *, name: str, result: str) -> Survivor:
    function = re.sub(r"^.*\.x[_ǁ]|__mutmut_\d+$", "", name).replace("ǁ", ".")
    lines = _mutmut(tree, "show", name).splitlines()
    # The first lines name the file; then the changed lines are kept, without their indentation.
    changed = [f"{line[0]} {line[1:].strip()}" for line in lines if re.match(r"[-+](?![-+])", line)]
    return Survivor(module=module, function=function, change=" ".join(changed), result=result)


def report(scores: Sequence[Score], *, reasons: Sequence[dict[str, str]]) -> tuple[str, int]:
    """Return the report as Markdown and the number of survivors without a reason."""
    known = {(each["module"], each["function"], each["change"]): each["reason"] for each in reasons}
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`. A mutant is one small change of the code; it is detected if a test",
        "of the module fails or does not end.",
        "",
        "| module | mutants | detected | score | minutes |",
        "|---|---:|---:|---:|---:|",
    ]
    for score in sorted(scores, key=lambda each: each.module):
        row = (score.module, score.total, score.detected, f"{score.share:.1%}", f"{score.seconds / 60:.1f}")
        lines.append("| " + " | ".join(map(str, row)) + " |")
    total, detected = sum(score.total for score in scores), sum(score.detected for score in scores)
    lines += [f"| **all** | {total} | {detected} | **{detected / max(total, 1):.1%}** | |", ""]
    unexplained = 0
    for score in sorted(scores, key=lambda each: each.module):
        if score.results[NOT_CHECKED]:
            lines += [f"Not tested in time: {score.results[NOT_CHECKED]} of {score.module}.", ""]
        if score.survivors:
            lines += [f"## {score.module}", "", "| function | change | reason |", "|---|---|---|"]
        for each in score.survivors:
            reason = known.get((each.module, each.function, each.change))
            unexplained += reason is None
            shown = each.change.replace("|", "\\|")
            lines.append(
                f"| {each.function} | `{shown}` | {reason or f'**no reason given** ({each.result})'} |"
            )
        lines += [""] if score.survivors else []
    return "\n".join(lines), unexplained


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
