"""`make run`: the API and the stand-in side by side, made for each other, until Ctrl-C."""

from __future__ import annotations

import shlex
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
from devclerk.local import admin_login, environment, make_settings, migrate

START_SECONDS = 30.0
STOP_SECONDS = 5.0
TOKEN_SECONDS = 3600  # long enough to paste; Clerk's own live for 60 s
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GREETING = """
  curl -H "Authorization: Bearer {token}" {api}/api/v1/me

That token is good for an hour. More of them, and changes with their webhooks, from another terminal:

  . {env_file}
  {python} manage.py devclerk token ada
  {python} manage.py devclerk update ada --first-name Augusta

Sandbox                  {clerk}/sandbox
The stand-in for Clerk   {clerk}/
API documentation        {api}/api/docs
Admin                    {api}/admin/   {admin}, {password}

Ctrl-C ends both.
"""


class StartFailed(Exception):
    """One of the two did not start, or ended on its own. The text is for people."""


class _Ended(Exception):
    """A signal asked for the end."""


def up(options: Mapping[str, Any]) -> int:
    """Start both, say how to use them, and wait. Give the exit status; raise `StartFailed`."""
    port, clerk_port = options["port"], options["clerk_port"]
    _require_free({"PORT": port, "CLERK_PORT": clerk_port})
    for number in SIGNALS:
        signal.signal(number, _end)
    made, env_file = make_settings(clerk_port=clerk_port), settings.BASE_DIR / options["env_file"]
    try:
        with ExitStack() as stack:
            clerk = stack.enter_context(_child(_stand_in_arguments(options), made))
            _reach_database()
            # It is ready to answer by the time that the database is.
            api = stack.enter_context(_child(["runserver", f"127.0.0.1:{port}", "--noreload"], made))
            migrate()
            admin, password = admin_login()
            children = {"API": api, "stand-in": clerk}
            _await(f"http://127.0.0.1:{clerk_port}/_dev/people", children)
            _await(f"http://127.0.0.1:{port}/health/live", children)
            _await(f"http://127.0.0.1:{port}/health/ready", children)
            stack.enter_context(_written(env_file, made))
            words = {
                "token": Client(clerk_port).token("ada", {"expires": TOKEN_SECONDS}),
                "api": f"http://127.0.0.1:{port}",
                "clerk": f"http://127.0.0.1:{clerk_port}",
                "env_file": _short(env_file),
                "python": _short(Path(sys.executable)),
                "admin": admin,
                "password": password,
            }
            print(GREETING.format(**words), flush=True)  # noqa: T201 - what the command is for
            return _wait(api, clerk)
    except _Ended:
        return 0


def _end(*_: object) -> None:
    # Whoever asks twice must not break into the tidying up.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _Ended


def _stand_in_arguments(options: Mapping[str, Any]) -> list[str]:
    return [
        *("devclerk", "serve", "--port", str(options["clerk_port"]), "--users", str(options["users"])),
        *("--webhook-url", f"http://127.0.0.1:{options['port']}/webhooks/clerk"),
        *("--retry-schedule", ",".join(map(str, options["retry_schedule"]))),
    ]


def _reach_database() -> None:
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise StartFailed(
            f"The database cannot be reached: {error}\nCheck DATABASE_URL, and that its server runs."
        ) from None


def _require_free(ports: Mapping[str, int]) -> None:
    for name, port in ports.items():
        with socket.socket() as probe:
            # As the servers do it: a connection of the last run that is still closing does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise StartFailed(
                    f"Port {port} cannot be used ({error.strerror}): "
                    f"stop what listens there, or choose another one: make run {name}={port + 10}"
                ) from None


@contextmanager
def _child(arguments: Sequence[str], made: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a management command beside this one; its errors and its log reach the terminal, its banner not."""
    child = subprocess.Popen(  # noqa: S603 - our own commands
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments],
        env=environment(made),
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


def _await(url: str, children: Mapping[str, subprocess.Popen[bytes]]) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < give_up_at:
            for name, child in children.items():
                if child.poll() is not None:
                    raise StartFailed(f"The {name} ended as it started: the lines above say why.")
            try:
                if session.get(url, timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
    raise StartFailed(f"{url} gave no good answer within {START_SECONDS:.0f} s: the lines above may say why.")


def _wait(api: subprocess.Popen[bytes], clerk: subprocess.Popen[bytes]) -> int:
    """Wait for the API. It outlives the stand-in, as it would outlive an outage of Clerk's."""
    while clerk.poll() is None and api.poll() is None:
        time.sleep(0.2)
    if api.poll() is None:
        print("The stand-in ended. The API goes on with the keys that it holds.", flush=True)  # noqa: T201
    api.wait()
    raise StartFailed("The API ended, and the stand-in with it.")


@contextmanager
def _written(path: Path, made: Mapping[str, str]) -> Iterator[None]:
    """Keep the settings in a file that this user alone may read, for as long as they are of use."""
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in made.items())
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    try:
        yield
    finally:
        if path.exists() and path.read_text() == text:  # else it is another run's by now
            path.unlink()


def _short(path: Path) -> Path:
    return path.relative_to(settings.BASE_DIR) if path.is_relative_to(settings.BASE_DIR) else path
