"""`make run` with real processes, an SQLite file and free ports."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent.parent
Start = Callable[..., subprocess.Popen[str]]


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ports() -> tuple[int, int]:
    """Return free ports for the API and the emulator."""
    return free_port(), free_port()


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "run" / "env"


@pytest.fixture
def start(tmp_path: Path, ports: tuple[int, int], env_file: Path) -> Iterator[Start]:
    """Start `devclerk up` as `make run` does, in a clean environment."""
    started = []

    def start(**environment: str) -> subprocess.Popen[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "DJANGO_DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
            "DEV_ADMIN_PASSWORD": "a password for this test",
        }
        arguments = ["up", "--port", ports[0], "--clerk-port", ports[1], "--env-file", env_file]
        child = subprocess.Popen(
            [sys.executable, "manage.py", "devclerk", *map(str, arguments)],
            cwd=ROOT,
            env=variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)


def greeting_of(child: subprocess.Popen[str]) -> str:
    """Return the whole output once both are ready."""
    assert child.stdout
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        line = child.stdout.readline()
        if not line:
            pytest.fail("".join(lines) + (child.stderr.read() if child.stderr else ""))
        lines.append(line)
    return "".join(lines)


def is_free(port: int) -> bool:
    """Return whether no server listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_everything_in_the_greeting_works(
    start: Start, ports: tuple[int, int], env_file: Path, tmp_path: Path
) -> None:
    child = start()
    greeting = greeting_of(child)
    api = f"http://127.0.0.1:{ports[0]}"

    # The curl command as printed.
    (line,) = [line.strip() for line in greeting.splitlines() if line.strip().startswith("curl")]
    header = shlex.split(line)[2]
    assert shlex.split(line)[-1] == f"{api}/api/v1/me"
    authorization = dict([header.split(": ", 1)])
    me = requests.get(f"{api}/api/v1/me", headers=authorization, timeout=10)
    assert me.status_code == 200, me.text
    assert me.json()["first_name"] == "Ada"

    # The sandbox, with the address of this API.
    sandbox = requests.get(f"http://127.0.0.1:{ports[1]}/sandbox", timeout=10)
    assert f"http://127.0.0.1:{ports[1]}/sandbox" in greeting
    assert f'data-api="{api}"' in sandbox.text

    # The login of the admin.
    with requests.Session() as browser:
        page = browser.get(f"{api}/admin/login/", timeout=10)
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert found
        form = {
            "username": "admin",
            "password": "a password for this test",
            "csrfmiddlewaretoken": found[1],
            "next": "/admin/",
        }
        home = browser.post(f"{api}/admin/login/", data=form, timeout=10)
        assert home.url == f"{api}/admin/"
    assert "a password for this test" in greeting

    # The file for other terminals, and a change that arrives by webhook.
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    script = f". {env_file} && {sys.executable} manage.py devclerk update ada --first-name Augusta"
    done = subprocess.run(
        ["sh", "-c", script],  # noqa: S607 - any sh
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ": 200 " in done.stdout
    me = requests.get(f"{api}/api/v1/me", headers=authorization, timeout=10)
    assert me.json()["first_name"] == "Augusta"

    # Ctrl-C ends both.
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert is_free(ports[0])
    assert is_free(ports[1])
    assert not env_file.exists()


def test_the_api_goes_on_without_the_emulator(start: Start, ports: tuple[int, int]) -> None:
    child = start()
    (header,) = re.findall(r'Authorization: [^"]+', greeting_of(child))
    found = subprocess.run(
        ["pgrep", "-P", str(child.pid), "-f", "devclerk serve"],  # noqa: S607 - any pgrep
        capture_output=True,
        text=True,
        check=True,
    )
    os.kill(int(found.stdout), signal.SIGKILL)
    assert child.stdout
    assert "goes on" in child.stdout.readline() + child.stdout.readline()
    me = requests.get(
        f"http://127.0.0.1:{ports[0]}/api/v1/me", headers=dict([header.split(": ", 1)]), timeout=10
    )
    assert me.status_code == 200, me.text


@pytest.mark.parametrize(("which", "name"), [(0, "PORT"), (1, "CLERK_PORT")])
def test_a_port_in_use_is_named_at_once(start: Start, ports: tuple[int, int], which: int, name: str) -> None:
    with socket.create_server(("127.0.0.1", ports[which])):
        child = start()
        _, errors = child.communicate(timeout=20)
    assert child.returncode == 1
    assert f"Port {ports[which]} cannot be used" in errors
    assert f"make run {name}=" in errors
    assert "Traceback" not in errors


def test_a_malformed_setting_is_shown_and_ends_both(start: Start, ports: tuple[int, int]) -> None:
    child = start(CLERK_CLAIMS="typo")
    _, errors = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "CLERK_CLAIMS" in errors
    assert "ended while it started" in errors
    assert is_free(ports[1])


def test_an_unreachable_database_is_one_message(start: Start, ports: tuple[int, int]) -> None:
    child = start(DATABASE_URL="postgres://user@127.0.0.1:9/nothing")
    _, errors = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "Check DATABASE_URL" in errors
    assert "Traceback" not in errors
    assert is_free(ports[1])
