"""`make run` with a project that has a handler of its own: real processes, an SQLite file and free ports."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.devclerk.runs import ROOT, Start, greeting_of

# As in a clone, the app is in INSTALLED_APPS; the handler writes through another app's model.
SETTINGS = """
from config.settings import *
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
HANDLERS = """
import webhooks
from django.contrib.auth.models import Group


@webhooks.on("organization.created")
def add_group(event: webhooks.ClerkEvent) -> None:
    Group.objects.create(name=f"{event.data['slug']} {Group.objects.count()}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of an app with a handler, and of the settings that install it."""
    folder = tmp_path / "project"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "clerk_events.py").write_text(HANDLERS)
    (folder / "shop_settings.py").write_text(SETTINGS)
    return folder


def test_five_deliveries_of_one_event_run_the_handler_once(
    start: Start, run_folder: Path, project: Path, tmp_path: Path
) -> None:
    environment = {"PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "shop_settings"}
    greeting_of(start(**environment))
    send = "send organization.created acme --duplicate 5"
    done = subprocess.run(
        ["sh", "-c", f". {run_folder}/env && {sys.executable} manage.py devclerk {send}"],  # noqa: S607 - any sh
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = [line.partition(": ")[2] for line in done.stdout.splitlines()[1:]]
    assert answers == ['200 {"outcome": "handled"}', *['200 {"outcome": "duplicate"}'] * 4]
    with sqlite3.connect(tmp_path / "db.sqlite3") as database:
        assert database.execute("SELECT name FROM auth_group").fetchall() == [("acme 0",)]
        ledger = database.execute("SELECT outcome, attempts FROM webhooks_webhookevent").fetchall()
    assert ledger == [("handled", 5)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import a_package_that_is_missing", "No module named 'a_package_that_is_missing'"),
        (HANDLERS.replace("def add_group", "async def add_group"), "cannot handle organization.created"),
        (HANDLERS + HANDLERS, "shop.clerk_events.add_group is registered for organization.created already"),
        (HANDLERS.replace('on("organization.created")', "on"), "Name the type of the event"),
    ],
)
def test_faulty_module_stops_the_start(project: Path, tmp_path: Path, text: str, complaint: str) -> None:
    (project / "shop" / "clerk_events.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "PYTHONPATH": str(project),
            "DJANGO_SETTINGS_MODULE": "shop_settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "clerk_events.py" in done.stderr
