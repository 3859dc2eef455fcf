"""The wheel is built, installed into a folder of its own, and used by a project that has users."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from zipfile import ZipFile

import pytest

pytestmark = [pytest.mark.postgresql, pytest.mark.own_session]
ROOT = Path(__file__).parent.parent.parent
KEPT_VARIABLES = ("PATH", "HOME", "LANG")
OURS = ("clerk_accounts", "clerk_webhooks", "clerk_health")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `make wheel` does."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder), cwd=ROOT)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder that contains nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    # A virtual environment that uv created has no pip.
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
    run(*pip, "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel), cwd=folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the project to a place from which nothing of this checkout can be imported."""
    return copytree(Path(__file__).parent / "project", tmp_path / "project")


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Run a program without the variables of this project and return what it prints."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | variables
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]
    return done.stdout


def run_in_project(project: Path, *arguments: str, installed: Path, database: str) -> str:
    """Run a Python module inside the project."""
    return run(
        *(sys.executable, "-m", *arguments),
        cwd=project,
        DJANGO_SETTINGS_MODULE="settings",
        FOREIGN_DATABASE_URL=database,
        PYTHONPATH=f"{project}{os.pathsep}{installed}",
    )


def test_the_only_top_level_package_is_clerk_sync(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()

    assert wheel.name.endswith("-py3-none-any.whl")
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"clerk_sync"}
    assert {"clerk_sync/py.typed", "clerk_sync/devclerk/assets/client.js"} <= set(names)
    data = [name for name in names if "/templates/" in name or "/static/" in name]
    assert data
    assert all(name.split("/")[3] == "clerk_sync" for name in data)


def test_the_wheel_requires_no_database_driver(wheel: Path) -> None:
    archive = ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist")]

    assert [line for line in required if "psycopg" in line] == [
        "Requires-Dist: psycopg[binary]>=3.2; extra == 'psycopg'"
    ]
    assert [line for line in required if "djangorestframework" in line or "drf-standardized-errors" in line]


def test_commands_work_in_the_project(project: Path, installed: Path) -> None:
    database = f"sqlite:///{project}/db.sqlite3"

    def run_django(*arguments: str) -> str:
        return run_in_project(project, "django", *arguments, installed=installed, database=database)

    assert "no issues" in run_django("check")
    migrated = run_django("migrate")
    assert all(f"Applying {label}.0001_initial... OK" in migrated for label in OURS)
    assert "No changes detected" in run_django("makemigrations", "--check", "--dry-run", *OURS)


def test_the_tests_of_the_project_pass(project: Path, installed: Path) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-W", "error")
    run_in_project(project, "pytest", *options, installed=installed, database=os.environ["DATABASE_URL"])
