"""The throwaway PostgreSQL keeps data over restarts and is deleted with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.postgres import ThrowawayPostgres

STARTER = """
import sys, time
from tests.postgres import ThrowawayPostgres
server = ThrowawayPostgres()
server.start()
print(server.url, flush=True)
time.sleep(600)
"""


def query(server: ThrowawayPostgres, statement: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_keeps_the_rows(postgres_server: ThrowawayPostgres, crash: bool) -> None:  # noqa: FBT001 - pytest's
    query(postgres_server, "CREATE TABLE kept ()")

    postgres_server.restart(crash=crash)

    query(postgres_server, "SELECT FROM kept")


def test_a_stopped_server_refuses_connections(postgres_server: ThrowawayPostgres) -> None:
    postgres_server.stop()

    with pytest.raises(psycopg.OperationalError):
        query(postgres_server, "SELECT 1")


def test_server_and_folder_are_deleted_when_the_process_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout
        address = starter.stdout.readline().strip()
        folder = Path(address.partition("host=")[2])
        assert folder.is_dir()

        os.kill(starter.pid, signal.SIGKILL)

    deadline = time.monotonic() + 20
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address)
