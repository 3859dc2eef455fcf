"""The hosted CI calls `.ci/run` with targets that exist, and runs no code that can change under its name."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packages import ROOT

WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
JOBS: dict[str, Any] = WORKFLOW["jobs"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def commands(job: str) -> Iterator[str]:
    """Yield each command of a job, once for each entry of its matrix."""
    matrix = JOBS[job].get("strategy", {}).get("matrix", {})
    for step in JOBS[job]["steps"]:
        for entry in matrix.get("include", [{}]):
            if "run" in step:
                yield step["run"].replace("${{ matrix.target }}", entry.get("target", ""))


def test_each_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {job: list(commands(job)) for job in JOBS}

    assert called["change"][-1:] == [".ci/run"]
    words = [line.split()[1:] for lines in called.values() for line in lines if not line.startswith("git ")]
    assert {target for line in words for target in line} <= targets
    assert {"test-latest", "proof", "mutants"} <= {target for line in words for target in line}


def test_each_action_is_named_by_its_commit() -> None:
    actions = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]

    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_the_workflow_may_read_only() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert [name for name, job in JOBS.items() if "permissions" in job] == []


def test_changes_are_checked_on_the_oldest_python_and_another() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    pythons = JOBS["change"]["strategy"]["matrix"]["python"]

    assert pythons[0] == oldest.removeprefix(">=")
    assert len(pythons) == 2


@pytest.mark.parametrize(("targets", "made"), [([], "check\ntest\n"), (["proof"], "proof\n")])
def test_the_script_makes_the_targets(targets: list[str], made: str, tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "LAST_RELEASE").write_text("none")
    # Not root: nothing is installed.
    for name, body in {"make": 'echo "$1"', "git": "exit 0", "id": "echo 1000"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    done = subprocess.run(
        [".ci/run", *targets],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout == made


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_each_form_has_what_the_host_needs(form: Path) -> None:
    document = yaml.safe_load(form.read_text())
    fields = [field for field in document["body"] if field["type"] != "markdown"]

    assert {"name", "description", "body"} <= document.keys()
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    named = re.findall(r"`((?:docs/)?[\w-]+\.md)`", form.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
