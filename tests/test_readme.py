"""The README is short, its view has real types, and it names the versions that the project supports."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from django import VERSION
from django.db.backends.postgresql.features import DatabaseFeatures

from tests.docs.documents import ROOT, blocks, section

README = ROOT / "README.md"
MAX_BYTES = 10_000


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) < MAX_BYTES


def test_the_view_passes_strict_mypy(tmp_path: Path) -> None:
    (view,) = blocks(README, language="python")
    module = tmp_path / "greeting.py"
    body = view.text.rstrip().splitlines()
    # What mypy reveals shows that the types are real ones, and not Any.
    body.insert(-1, "        reveal_type((request.user, request.auth))")
    module.write_text("\n".join(body) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(module)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "accounts.models.user.User, accounts.clerk.tokens.SessionClaims" in done.stdout


def test_the_supported_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = "\n".join(project["dependencies"])
    (django,) = re.findall(r"^django>=([\d.]+),<(\d+)\.(\d+)$", requirements, re.MULTILINE)
    (rest_framework,) = re.findall(r"^djangorestframework>=([\d.]+)$", requirements, re.MULTILINE)
    lowest, major, minor = django
    table = section(README, "Supported versions")

    assert f"| Python | {project['requires-python'].removeprefix('>=')} or newer |" in table
    assert f"| Django | {lowest} to {major}.{int(minor) - 1};" in table
    assert f"| Django REST framework | {rest_framework} or newer |" in table
    # Django refuses older servers itself, and `clerk_doctor` says so.
    (postgresql,) = re.findall(r"PostgreSQL (\d+) or newer", table)
    lowest_server = DatabaseFeatures.minimum_database_version
    assert lowest_server is not None
    assert int(postgresql) <= lowest_server[0]
    assert VERSION[:2] > (5, 2) or int(postgresql) == lowest_server[0]
