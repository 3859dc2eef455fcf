"""A receiver that gets the webhooks of the emulator, and `make run` on free ports."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.devclerk.receiver import Receiver
from tests.devclerk.runs import ROOT, Run, Start, stop
from tests.ports import free_port


@pytest.fixture
def run(clerk: LocalClerk, settings: Settings) -> Run:
    """Return a function that runs an action of `devclerk` and returns its output."""
    settings.DEBUG = True
    port = clerk.issuer.rpartition(":")[2]

    def run(*arguments: str) -> str:
        printed = io.StringIO()
        call_command("devclerk", *arguments, "--clerk-port", port, stdout=printed)
        return printed.getvalue()

    return run


@pytest.fixture
def receiver(clerk: LocalClerk, httpserver: HTTPServer) -> Iterator[Receiver]:
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    yield receiver
    clerk.emulator.reset()


@pytest.fixture
def ports() -> tuple[int, int]:
    """Return free ports for the API and the emulator."""
    return free_port(), free_port()


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def start(tmp_path: Path, ports: tuple[int, int], run_folder: Path) -> Iterator[Start]:
    """Start `devclerk up` as `make run` does, in a clean environment."""
    started = []

    def start(tree: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        }
        arguments = ["up", "--port", ports[0], "--clerk-port", ports[1], "--run-folder", run_folder]
        child = subprocess.Popen(
            [sys.executable, "manage.py", "devclerk", *map(str, arguments)],
            cwd=tree,
            env=variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        stop(child)
