"""Each project is adopted in a process of its own, on the PostgreSQL of this test run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.postgresql, pytest.mark.own_session]
ROOT = Path(__file__).parent.parent.parent
# The settings of each project, and the folder of its tests.
PROJECTS = {"plain": "cases", "mail": "cases", "own": "own_cases"}
KEPT_VARIABLES = ("PATH", "HOME", "LANG")
MIGRATED = ("accounts", "webhooks", "health")


def run(*arguments: str, project: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in the environment of a project, which has no variable of this one."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {
        "DJANGO_SETTINGS_MODULE": f"tests.foreign.{project}",
        "FOREIGN_DATABASE_URL": os.environ["DATABASE_URL"],
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("project", PROJECTS)
def test_project_is_adopted(project: str) -> None:
    options = ("-q", "-o", "addopts=", "-p", "no:cacheprovider")
    tests = run("pytest", f"tests/foreign/{PROJECTS[project]}", *options, project=project)
    assert tests.returncode == 0, tests.stdout[-6000:] + tests.stderr[-2000:]


@pytest.mark.parametrize("project", PROJECTS)
def test_project_needs_no_new_migration(project: str) -> None:
    command = run("django", "makemigrations", "--check", "--dry-run", *MIGRATED, project=project)
    assert command.returncode == 0, command.stdout + command.stderr
    assert "No changes detected" in command.stdout
