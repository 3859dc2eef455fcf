"""The code of the last release, and a next version, which adds a column."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.deploy.context import ROOT

MODELS = {"user": "accounts", "syncrun": "accounts", "webhookevent": "webhooks", "syncfailure": "health"}
# As CONTRIBUTING.md adds one, and with a default in Python only.
COLUMN = 'models.CharField(max_length=35, blank=True, default="", db_default="")'
BREAKING_COLUMN = 'models.CharField(max_length=35, blank=True, default="")'
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("{app}", "{latest}")]
    operations = [migrations.AddField("{model}", "example", {column})]
"""


def last_release() -> bytes | None:
    """Return the code of the commit in LAST_RELEASE as a tar file, or None if this clone does not have it."""
    file = ROOT / "LAST_RELEASE"
    commit = file.read_text().strip() if file.exists() else ""
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit or "none"],  # noqa: S607 - any git
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    return None if done.returncode else done.stdout


def unpack_last_release(folder: Path) -> None:
    """Write the code of the last release into the folder; raise LookupError without it."""
    archive = last_release()
    if archive is None:
        raise LookupError("The commit of LAST_RELEASE is not in this clone: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def add_column(code: Path, *, model: str, column: str) -> None:
    """Add a migration with this column to a copy of this version: so it is the next version."""
    app = MODELS[model]
    migrations = code / app / "migrations"
    latest = max(path.stem for path in migrations.glob("[0-9]*.py"))
    text = MIGRATION.format(app=app, latest=latest, model=model, column=column)
    (migrations / f"{int(latest[:4]) + 1:04}_example.py").write_text(text)
