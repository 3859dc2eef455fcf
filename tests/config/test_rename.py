"""`make rename`: a clone has its own name, and the licence, the measured figures and the lock stay valid."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.clones import copy_project, git, run

PROJECT = "django-clerk-sync"
KEPT = {
    ".ci/rename",
    "CHANGELOG.md",
    "LICENSE",
    "benchmarks/README.md",
    "benchmarks/accounts.py",
    "benchmarks/peers.py",
    "benchmarks/results.md",
    "benchmarks/results.svg",
    "docs/comparison.md",
    "docs/your-own-clone.md",
    "tests/config/test_rename.py",
    "tests/docs/test_upgrading.py",
    "tests/docs/test_your_own_clone.py",
}
FEW = (".ci/rename", ".ci/python", ".ci/venv", "Makefile", "LICENSE", "pyproject.toml", "uv.lock")


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the whole project that was renamed to zebra-shop, and not committed."""
    folder = copy_project(tmp_path_factory.mktemp("clone"))
    if read_name(folder) != PROJECT:
        pytest.skip(f"this clone is named {read_name(folder)}")
    run(folder, "make", "rename", "NAME=zebra-shop")
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of a few files, with the name of this project."""
    folder = copy_project(tmp_path, names=FEW)
    current = f'name = "{read_name(folder)}"'
    for file in (folder / "pyproject.toml", folder / "uv.lock"):
        file.write_text(file.read_text().replace(current, f'name = "{PROJECT}"', 1))
    return folder


def read_name(folder: Path) -> str:
    """Return the name in pyproject.toml."""
    return str(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"])


def test_the_name_is_written_wherever_it_does_not_report_on_this_project(renamed: Path) -> None:
    changed = set(git(renamed, "diff", "--name-only").splitlines())

    assert set(git(renamed, "grep", "--name-only", PROJECT).splitlines()) <= KEPT
    assert changed >= {"pyproject.toml", "uv.lock", "compose.yaml", "config/settings.py", "api/openapi.yaml"}
    assert not KEPT & changed
    assert read_name(renamed) == "zebra-shop"


def test_nothing_but_the_name_is_changed(renamed: Path) -> None:
    difference = git(renamed, "diff", "--unified=0")
    removed = re.findall(r"^-(?!--)(.*)$", difference, re.MULTILINE)
    added = re.findall(r"^\+(?!\+\+)(.*)$", difference, re.MULTILINE)

    assert sorted(line.replace(PROJECT, "zebra-shop") for line in removed) == sorted(added)


def test_the_exported_requirements_are_sorted_as_uv_sorts_them(renamed: Path) -> None:
    lists = [
        found.splitlines()
        for file in renamed.glob("requirements*.txt")
        for found in re.findall(r"    # via\n((?:    #   \S+\n)+)", file.read_text())
    ]

    assert any("    #   zebra-shop" in found for found in lists)
    assert [found for found in lists if found != sorted(found)] == []


def test_the_same_name_again_changes_new_lines_only(clone: Path) -> None:
    run(clone, "make", "rename", "NAME=shop")
    (clone / "new.md").write_text(f"# {PROJECT}\n\n`{PROJECT}-client`, {PROJECT}s\n")
    git(clone, "add", "--all")

    run(clone, "make", "rename", "NAME=shop")

    assert git(clone, "diff", "--name-only").splitlines() == ["new.md"]
    assert (clone / "new.md").read_text() == f"# shop\n\n`shop-client`, {PROJECT}s\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "'' cannot be a name"),
        ("My-Shop", "'My-Shop' cannot be a name"),
        ("my--shop", "'my--shop' cannot be a name"),
        ("2shop", "'2shop' cannot be a name"),
        ("a" * 41, "cannot be a name"),
        ("rich", "rich is a package that the project installs"),
    ],
)
def test_a_name_that_cannot_be_used_changes_nothing(name: str, reason: str, clone: Path) -> None:
    git(clone, "add", "--all")

    assert reason in refusal(clone, name)
    assert git(clone, "diff", "--name-only") == ""


def test_a_second_name_is_refused(clone: Path) -> None:
    run(clone, "make", "rename", "NAME=shop")

    assert "This clone is named shop already" in refusal(clone, "market")
    assert read_name(clone) == "shop"


def refusal(clone: Path, name: str) -> str:
    """Return the error of a refused name."""
    command = [sys.executable, ".ci/rename", name]
    done = subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    return done.stderr
