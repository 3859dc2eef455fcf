"""`make run`: the API and the emulator, configured for each other, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import DatabaseError, connection

from devclerk.client import Client
from devclerk.environment import ADMIN, admin_password, ensure_admin, frontend_environment, run_environment
from devclerk.run_folder import RunFolder
from devclerk.web import loopback_session

START_SECONDS = 30.0
STOP_SECONDS = 5.0
TOKEN_SECONDS = 3600  # long enough to paste; Clerk's own tokens expire after 60 s
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GREETING = """
  curl -H "Authorization: Bearer {token}" {api}/api/v1/me

The token expires in an hour. Keys, secrets and the password stay the same at the next start, and the API
restarts when its code changes. For more tokens, and for changes with their webhooks, in another terminal:

  . {env_file}
  {python} manage.py devclerk token ada
  {python} manage.py devclerk update ada --first-name Augusta

Sandbox             {clerk}/sandbox
Clerk emulator      {clerk}/
API documentation   {api}/api/docs
Admin               {api}/admin/   {admin}, {password}
For a frontend      {frontend_file}

Ctrl-C ends both.
"""


class StartFailed(Exception):
    """The API or the emulator did not start, or ended by itself. The text is for the user of the command."""


class _Ended(Exception):
    """A signal ended the command."""


def up(options: Mapping[str, Any]) -> int:
    """Start both, print how to use them, and wait. Return the exit status; raise `StartFailed`."""
    if not hasattr(settings, "ENV_PROBLEMS"):
        raise StartFailed(
            "`up` is the command of `make run` and needs settings that read the environment, as those of a"
            " clone do. Start `manage.py devclerk serve`, and your own server beside it."
        )
    port, clerk_port = options["port"], options["clerk_port"]
    _require_free({"PORT": port, "CLERK_PORT": clerk_port})
    for number in SIGNALS:
        signal.signal(number, _end)
    folder = RunFolder(settings.BASE_DIR / options["run_folder"], port=port)
    try:
        variables, password = _prepare(folder, port=port, clerk_port=clerk_port)
        with ExitStack() as stack:
            arguments = _emulator_arguments(options, keys_file=folder.keys_file)
            clerk = stack.enter_context(_child(arguments, variables))
            _reach_database()
            _migrate(variables)
            ensure_admin(password)
            api = stack.enter_context(_child(["runserver", f"127.0.0.1:{port}"], variables))
            children = {"API": api, "emulator": clerk}
            _wait_until_ok(f"http://127.0.0.1:{clerk_port}/_dev/people", children)
            _wait_until_ok(f"http://127.0.0.1:{port}/health/live", children)
            _wait_until_ok(f"http://127.0.0.1:{port}/health/ready", children)
            values = {
                "token": Client(clerk_port).mint_token("ada", {"expires": TOKEN_SECONDS}),
                "api": f"http://127.0.0.1:{port}",
                "clerk": f"http://127.0.0.1:{clerk_port}",
                "env_file": _short(folder.env_file),
                "frontend_file": _short(folder.frontend_file),
                "python": _short(Path(sys.executable)),
                "admin": ADMIN,
                "password": password,
            }
            print(GREETING.format(**values), flush=True)  # noqa: T201 - the output of a command
            return _wait(api, clerk)
    except _Ended:
        return 0


def _end(*_: object) -> None:
    # A second signal must not interrupt the cleanup.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _Ended


def _prepare(folder: RunFolder, *, port: int, clerk_port: int) -> tuple[dict[str, str], str]:
    """Return the environment of the children and the password of the admin, both kept in the folder."""
    try:
        folder.create()
        variables = run_environment(folder, clerk_port=clerk_port)
        folder.write_env(variables)
        folder.write_frontend_env(frontend_environment(variables, port=port))
        return variables, admin_password(folder)
    except (OSError, ValueError) as error:
        raise StartFailed(
            f"A file in {_short(folder.root)} cannot be used: {error}\n"
            f"Make the folder writable, or delete the file: the next start creates it again."
        ) from None


def _emulator_arguments(options: Mapping[str, Any], *, keys_file: Path) -> list[str]:
    return [
        *("devclerk", "serve", "--port", str(options["clerk_port"]), "--users", str(options["users"])),
        *("--webhook-url", f"http://127.0.0.1:{options['port']}/webhooks/clerk"),
        *("--retry-schedule", ",".join(map(str, options["retry_schedule"]))),
        *("--keys-file", str(keys_file)),
        *(("--node-modules", str(options["node_modules"])) if options["node_modules"] else ()),
    ]


def _reach_database() -> None:
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise StartFailed(
            f"The database cannot be reached: {error}\nCheck DATABASE_URL, and that its server runs."
        ) from None


def _migrate(variables: Mapping[str, str]) -> None:
    """Migrate, and check the settings of the run: runserver would only wait for a change of the code."""
    with _child(["migrate", "--verbosity", "0", "--no-input"], variables) as child:
        if child.wait() != 0:
            raise StartFailed("The API cannot start: see the lines above.")


def _require_free(ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        with socket.socket() as probe:
            # As the servers do: a connection of the last run that is still closing does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise StartFailed(
                    f"Port {port} cannot be used ({error.strerror}): "
                    f"stop the program that uses it, or choose another port: make run {name}={port + 10}"
                ) from None


@contextmanager
def _child(arguments: Sequence[str], variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a management command as a child process; its errors and log are shown, its output is not."""
    child = subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_ok(url: str, children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    with loopback_session() as session:
        while time.monotonic() < give_up_at:
            for name, child in children.items():
                if child.poll() is not None:
                    raise StartFailed(f"The {name} ended while it started: see the lines above.")
            try:
                if session.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
    raise StartFailed(f"{url} was not ready within {START_SECONDS:.0f} s: see the lines above.")


def _wait(api: subprocess.Popen[bytes], clerk: subprocess.Popen[bytes]) -> int:
    """Wait for the API to end. It goes on without the emulator, as during an outage of Clerk."""
    while clerk.poll() is None and api.poll() is None:
        time.sleep(0.2)
    if api.poll() is None:
        print("The emulator ended. The API goes on with the keys that it holds.", flush=True)  # noqa: T201
    api.wait()
    raise StartFailed("The API ended, and the emulator with it.")


def _short(path: Path) -> Path:
    return path.relative_to(settings.BASE_DIR) if path.is_relative_to(settings.BASE_DIR) else path
