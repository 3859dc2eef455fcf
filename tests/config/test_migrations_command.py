"""`.ci/migrations` as `make check` runs it, in a repository with a release."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.context import unpack

PROJECT = Path(__file__).parent.parent.parent
CHECK: dict[str, Any] = runpy.run_path(str(PROJECT / ".ci" / "migrations"))
EXAMPLE = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.AddField("user", "locale", models.CharField(max_length=35, default=""{rest}))]
"""


MODELS = """
from django.conf import settings
from django.db import models


class Note(models.Model):
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
"""
NOTES = """
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            "Note",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("owner", models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)),
            ],
        )
    ]
"""
OWNERLESS = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]
    operations = [migrations.RemoveField("note", "owner")]
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose only commit is the last release."""
    folder = tmp_path_factory.mktemp("clone")
    unpack(folder)
    shutil.copytree(PROJECT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=release")
    return folder


@pytest.fixture
def work(clone: Path, tmp_path: Path) -> Path:
    """Return a copy of the clone, with the commit of the last release."""
    folder = tmp_path / "work"
    shutil.copytree(clone, folder)
    (folder / "LAST_RELEASE").write_text(git(folder, "rev-parse", "HEAD"))
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def check(folder: Path) -> tuple[int, str, str]:
    """Run the check in a folder. Return the exit status, the output and the error output."""
    command = [sys.executable, ".ci/migrations"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_command_accepts_a_compatible_migration_and_refuses_a_breaking_one(work: Path) -> None:
    file = work / "accounts/migrations/0002_example.py"
    file.write_text(EXAMPLE.format(rest=', db_default=""'))
    assert check(work) == (0, "", "")

    file.write_text(EXAMPLE.format(rest=""))
    sentence = (
        "accounts_user.locale is new and NOT NULL without db_default: INSERTs of the last release fail."
    )
    assert check(work) == (1, f"accounts.0002_example: {sentence}\n", f"{CHECK['ADVICE']}\n")


def test_command_refuses_a_released_migration_that_was_changed(work: Path) -> None:
    file = work / "webhooks/migrations/0001_initial.py"
    file.write_text(file.read_text().replace("max_length=100", "max_length=200"))

    status, output, _ = check(work)

    assert (status, output) == (
        1,
        f"webhooks_webhookevent: {CHECK['CHANGED']}\n",
    )


def test_app_of_a_clone_is_compared_once_it_was_released(work: Path) -> None:
    for name, text in (
        ("__init__", ""),
        ("models", MODELS),
        ("migrations/__init__", ""),
        ("migrations/0001_initial", NOTES),
    ):
        (work / "notes" / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (work / "notes" / f"{name}.py").write_text(text)
    settings = work / "config/settings.py"
    settings.write_text(settings.read_text().replace('"webhooks",\n', '"webhooks",\n    "notes",\n', 1))
    assert check(work) == (0, "", "")

    git(work, "add", ".")
    git(work, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--message=notes")
    (work / "LAST_RELEASE").write_text(git(work, "rev-parse", "HEAD"))
    (work / "notes/migrations/0002_ownerless.py").write_text(OWNERLESS)
    sentence = "notes_note.owner_id is removed or renamed, and the last release reads and writes it."
    assert check(work) == (1, f"notes.0002_ownerless: {sentence}\n", f"{CHECK['ADVICE']}\n")


@pytest.mark.parametrize("commit", ["", None])
def test_without_a_release_nothing_is_compared(work: Path, commit: str | None) -> None:
    if commit is None:
        (work / "LAST_RELEASE").unlink()
    else:
        (work / "LAST_RELEASE").write_text(commit)

    assert check(work) == (0, f"{CHECK['NO_RELEASE']}\n", "")


def test_commit_that_is_not_in_the_clone_is_named(work: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    (work / "LAST_RELEASE").write_text(f"{commit}\n")

    assert check(work) == (1, "", CHECK["NO_COMMIT"].format(commit=commit) + "\n")
    assert "git fetch --unshallow" in CHECK["NO_COMMIT"]


def test_make_check_runs_it() -> None:
    makefile = (PROJECT / "Makefile").read_text()

    assert "\t$(CHECK_ENVIRONMENT) $(PYTHON) .ci/migrations\n" in makefile.partition("\ncheck:\n")[2]
