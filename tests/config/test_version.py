"""One version: `make version` writes it into each file that contains it, and all of them agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from accounts.clerk.outgoing import USER_AGENT
from tests.clones import copy_project, git, run
from tests.packages import ROOT


def read_schema(text: str) -> list[str]:
    return [yaml.safe_load(text.partition("\npaths:")[0])["info"]["version"]]


def read_package_lock(text: str) -> list[str]:
    lock = json.loads(text)
    return [lock["version"], lock["packages"][""]["version"]]


READERS: dict[str, Callable[[str], list[str]]] = {
    "Dockerfile": lambda text: re.findall(r'^LABEL .*image\.version="(.*)"$', text, re.MULTILINE),
    "accounts/clerk/outgoing.py": lambda text: re.findall(r'^VERSION = "(.*)"$', text, re.MULTILINE),
    "api/openapi.yaml": read_schema,
    "clients/typescript/package-lock.json": read_package_lock,
    "clients/typescript/package.json": lambda text: [json.loads(text)["version"]],
    "clients/typescript/tests/openapi.yaml": read_schema,
    "deploy/kubernetes/kustomization.yaml": lambda text: [
        image["newTag"] for image in yaml.safe_load(text)["images"]
    ],
    "pyproject.toml": lambda text: [tomllib.loads(text)["project"]["version"]],
    # The project alone has no registry as its source.
    "uv.lock": lambda text: [
        package["version"] for package in tomllib.loads(text)["package"] if "virtual" in package["source"]
    ],
}
PRESENT = [place for place in READERS if (ROOT / place).exists()]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of the files with the version, and of what `make version` needs."""
    folder = copy_project(tmp_path, names=(*PRESENT, ".ci/version", ".ci/python", ".ci/venv", "Makefile"))
    git(folder, "add", "--all")
    return folder


def read_project(folder: Path) -> dict[str, str]:
    """Return name and version in pyproject.toml."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return {"name": project["name"], "version": project["version"]}


def read_versions(folder: Path, place: str) -> list[str]:
    """Return each version of the project in a file, with a parser of its format."""
    return READERS[place]((folder / place).read_text())


@pytest.mark.parametrize("place", PRESENT)
def test_each_file_has_the_version_of_the_project(place: str) -> None:
    assert set(read_versions(ROOT, place)) == {read_project(ROOT)["version"]}


def test_requests_and_schema_name_the_version() -> None:
    project = read_project(ROOT)

    assert f"{project['name']}/{project['version']}" == USER_AGENT
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == project["version"]


def test_a_new_version_is_written_into_each_file(clone: Path) -> None:
    before = {place: (clone / place).read_text() for place in PRESENT}

    run(clone, "make", "version", "NUMBER=98.7.6")

    assert git(clone, "diff", "--name-only").splitlines() == PRESENT
    for place in PRESENT:
        assert set(read_versions(clone, place)) == {"98.7.6"}, place
        changed = [
            (old, new)
            for old, new in zip(
                before[place].splitlines(), (clone / place).read_text().splitlines(), strict=True
            )
            if old != new
        ]
        assert len(changed) == len(read_versions(clone, place)), place


@pytest.mark.parametrize("number", ["", "v1.2.0", "1.2", "1.2.0rc1", "01.2.0"])
def test_a_number_that_cannot_be_used_changes_nothing(number: str, clone: Path) -> None:
    command = [sys.executable, ".ci/version", number]
    done = subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert f"{number!r} cannot be a version" in done.stderr
    assert git(clone, "diff", "--name-only") == ""


def test_a_file_without_a_version_is_an_error(clone: Path) -> None:
    (clone / "api" / "openapi.yaml").write_text("openapi: 3.0.3\n")

    command = [sys.executable, ".ci/version", "1.2.0"]
    done = subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)

    assert "api/openapi.yaml contains no version" in done.stderr
    assert done.returncode == 1
