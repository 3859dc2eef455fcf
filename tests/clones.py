"""Copies of this project, in a repository of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.packages import ROOT


def copy_project(folder: Path, *, names: Iterable[str] | None = None) -> Path:
    """Copy files of this project (all by default) into a new repository, with this Python as `.venv`."""
    everything = ("ls-files", "--cached", "--others", "--exclude-standard")
    for name in git(ROOT, *everything).splitlines() if names is None else names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    # The packages are installed already; nothing may change the environment of the tests.
    (folder / ".ci" / "venv").write_text("#!/bin/sh\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "clone")
    return folder


def commit(folder: Path, message: str) -> None:
    """Commit all files."""
    git(folder, "config", "user.name", "n")
    git(folder, "config", "user.email", "e")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command."""
    return run(folder, "git", *arguments).stdout


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in a terminal, without the environment of the tests. Fail with its output."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done
