"""The wheel is built, installed into a folder of its own, and used by a project that has users."""

from __future__ import annotations

import os
import re
from pathlib import Path
from shutil import copytree
from zipfile import ZipFile

import pytest

from tests.wheel.staging import MIGRATED, Staging

pytestmark = [pytest.mark.postgresql, pytest.mark.own_session]
# A dotted path of ours that is not below `clerk_sync`.
BARE_PATH = re.compile(r"(?<![\w/.@-])(?:accounts|webhooks|health|devclerk)\.[a-z]\w+")


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    """Install the wheel into a folder that contains nothing else."""
    return Staging(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the project to a place from which nothing of this checkout can be imported."""
    return copytree(Path(__file__).parent / "project", tmp_path / "project")


def read_metadata(staging: Staging) -> str:
    """Return the metadata with the long description."""
    archive = ZipFile(staging.wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    return archive.read(metadata).decode()


def test_the_only_top_level_package_is_clerk_sync(staging: Staging) -> None:
    names = ZipFile(staging.wheel).namelist()

    assert staging.wheel.name.endswith("-py3-none-any.whl")
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"clerk_sync"}
    assert {"clerk_sync/py.typed", "clerk_sync/devclerk/assets/client.js"} <= set(names)
    data = [name for name in names if "/templates/" in name or "/static/" in name]
    assert data
    assert all(name.split("/")[3] == "clerk_sync" for name in data)


def test_the_wheel_requires_no_database_driver(staging: Staging) -> None:
    required = [line for line in read_metadata(staging).splitlines() if line.startswith("Requires-Dist")]

    assert [line for line in required if "psycopg" in line] == [
        "Requires-Dist: psycopg[binary]>=3.2; extra == 'psycopg'"
    ]
    assert [line for line in required if "djangorestframework" in line or "drf-standardized-errors" in line]


def test_every_module_that_a_reader_sees_is_below_clerk_sync(staging: Staging) -> None:
    package = staging.installed / "clerk_sync"
    modules = {str(path.relative_to(package).with_suffix("")) for path in package.rglob("*.py")}
    texts = {path: path.read_text() for suffix in ("py", "html") for path in package.rglob(f"*.{suffix}")}

    found = [(path, name) for path, text in texts.items() for name in BARE_PATH.findall(text)]

    assert "accounts/errors" in modules
    assert "`clerk_sync.accounts.errors.exception_handler`" in texts[package / "accounts/errors.py"]
    # The others are attributes of variables, such as webhooks.state.
    packages = {str(Path(name).parent) for name in modules}
    assert [each for each in found if each[1].replace(".", "/") in modules | packages] == []


def test_commands_work_in_the_project(project: Path, staging: Staging) -> None:
    variables = {
        "DJANGO_SETTINGS_MODULE": "settings",
        "FOREIGN_DATABASE_URL": f"sqlite:///{project}/db.sqlite3",
    }

    def run_django(*arguments: str) -> str:
        return staging.run("django", *arguments, cwd=project, **variables)

    assert "no issues" in run_django("check")
    migrated = run_django("migrate")
    assert all(f"Applying {label}.0001_initial... OK" in migrated for label in MIGRATED)
    assert "No changes detected" in run_django("makemigrations", "--check", "--dry-run", *MIGRATED)
    assert "ClerkSession:" in run_django("spectacular", "--validate", "--fail-on-warn")


def test_the_tests_of_the_project_pass(project: Path, staging: Staging) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-W", "error")
    variables = {"DJANGO_SETTINGS_MODULE": "settings", "FOREIGN_DATABASE_URL": os.environ["DATABASE_URL"]}
    staging.run("pytest", *options, cwd=project, **variables)
