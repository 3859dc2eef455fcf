"""When a server process starts to fetch keys and opens HEALTH_PORT, under real servers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import requests

from devclerk.fixtures import LocalClerk
from tests import waiting
from tests.config.test_settings import PROJECT
from tests.config.test_wsgi import get_when_ready
from tests.ports import free_port

# Imports the application as a server does that never forks, and serves when a line arrives.
NEVER_FORKS = """
import sys
from wsgiref.simple_server import make_server
from config.wsgi import application
print("imported", flush=True)
sys.stdin.readline()
with make_server("127.0.0.1", int(sys.argv[1]), application) as server:
    server.serve_forever()
"""
# A worker forks a process for work of its own.
FORKS_A_HELPER = """
import os, sys, time
from config.wsgi import startup
startup.ensure_started()
helper = os.fork()
if helper == 0:
    time.sleep(60)
print(helper, flush=True)
sys.stdin.readline()
"""
wait_until = partial(waiting.wait_until, seconds=30)
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")


@pytest.fixture
def variables(tmp_path: Path, clerk: LocalClerk) -> dict[str, str]:
    """Return the environment of a site in debug, whose keys the emulator serves."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "CLERK_ISSUER": clerk.issuer,
        "CLERK_JWKS_URL": clerk.jwks_url,
        "HEALTH_PORT": str(free_port()),
    }
    migrate = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(migrate, cwd=PROJECT, env=environment, check=True)
    return environment


@contextmanager
def running(*command: str, variables: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run Python until the block ends."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def gunicorn(*options: str, workers: int = 2) -> list[str]:
    bind = f"127.0.0.1:{free_port()}"
    return [
        *("-m", "gunicorn", "--no-control-socket", "-b", bind, f"--workers={workers}"),
        *(*options, "config.wsgi"),
    ]


def probe(variables: dict[str, str], path: str = "/health/ready") -> int:
    """Return the status of the answer of HEALTH_PORT, or 0 without an answer."""
    try:
        address = f"http://127.0.0.1:{variables['HEALTH_PORT']}{path}"
        return requests.get(address, timeout=5).status_code
    except requests.ConnectionError:
        return 0


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def sockets_of(pid: int, *, port: int) -> int:
    """Return how many listening sockets on the port this process holds."""
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                listening.add(f"socket:[{fields[9]}]")
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found += str(descriptor.readlink()) in listening
    return found


@needs_proc
@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "preload"])
def test_workers_of_gunicorn_start_without_a_request_and_the_master_never(
    variables: dict[str, str], tmp_path: Path, options: list[str]
) -> None:
    port = int(variables["HEALTH_PORT"])
    with running(*gunicorn(*options), variables=variables, log=tmp_path / "log") as master:
        # No request is sent to the main port.
        wait_until(lambda: [sockets_of(pid, port=port) for pid in children_of(master.pid)] == [1, 1])
        wait_until(lambda: {probe(variables) for _ in range(20)} == {200})
        assert threads_of(master.pid) == 1
        assert sockets_of(master.pid, port=port) == 0

        killed = children_of(master.pid)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in children_of(master.pid) and len(children_of(master.pid)) == 2)
        wait_until(lambda: [sockets_of(pid, port=port) for pid in children_of(master.pid)] == [1, 1])
        wait_until(lambda: {probe(variables) for _ in range(20)} == {200})
    assert probe(variables) == 0


def test_a_server_that_never_forks_starts_at_its_first_request(
    variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    with running("-c", NEVER_FORKS, str(port), variables=variables, log=tmp_path / "log") as server:
        assert server.stdout is not None
        assert server.stdin is not None
        assert server.stdout.readline() == "imported\n"
        assert probe(variables, "/health/live") == 0
        server.stdin.write("serve\n")
        server.stdin.flush()
        get_when_ready(f"http://127.0.0.1:{port}/health/live")
        wait_until(lambda: probe(variables) == 200)


@needs_proc
def test_a_process_that_a_worker_forks_for_itself_gets_no_probes(
    variables: dict[str, str], tmp_path: Path
) -> None:
    with running("-c", FORKS_A_HELPER, variables=variables, log=tmp_path / "log") as worker:
        assert worker.stdout is not None
        helper = int(worker.stdout.readline())
        try:
            port = int(variables["HEALTH_PORT"])
            wait_until(lambda: sockets_of(helper, port=port) == 0)
            assert sockets_of(worker.pid, port=port) == 1
            assert {probe(variables, "/health/live") for _ in range(20)} == {200}
        finally:
            os.kill(helper, signal.SIGKILL)


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["", "preload"])
def test_a_taken_port_ends_the_server_with_a_sentence(
    variables: dict[str, str], tmp_path: Path, options: list[str]
) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = variables | {"HEALTH_PORT": str(other.getsockname()[1])}
        # gunicorn prints a traceback of its own when two workers exit at the same moment.
        with running(*gunicorn(*options, workers=1), variables=taken, log=log) as server:
            assert server.wait(timeout=60) == 3
    assert re.search(r"HEALTH_PORT: port \d+ cannot be used \(.+\)\. Stop the program", log.read_text())
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1"])
def test_a_value_that_is_no_port_is_named(variables: dict[str, str], tmp_path: Path, value: str) -> None:
    log = tmp_path / "log"
    wrong = variables | {"HEALTH_PORT": value}
    with running(*gunicorn(workers=1), variables=wrong, log=log) as server:
        assert server.wait(timeout=60) == 3
    assert "HEALTH_PORT must be a whole number from 1 to 65535." in log.read_text()


def test_runserver_fetches_keys_and_opens_no_port(variables: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = ["manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    with running(*command, variables=variables, log=tmp_path / "log"):
        get_when_ready(f"http://127.0.0.1:{port}/health/live")
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).ok)
        assert probe(variables, "/health/live") == 0
