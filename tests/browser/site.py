"""`make run` as a child process: the API, the admin and the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.devclerk.javascript_packages import NODE_MODULES
from tests.ports import free_port
from tests.postgres import ThrowawayPostgres

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The addresses of the project, and requests to it without the browser."""

    api: str
    clerk: str
    admin: str
    password: str
    frontend_file: Path

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """Call the control API of the emulator."""
        answer = requests.post(f"{self.clerk}/_dev/{path}", json=body, timeout=20)
        assert answer.ok, answer.text
        return dict(answer.json())

    def create_user(self, handle: str, **fields: Any) -> str:
        """Create a user in Clerk without a webhook, so without a local row. Return the Clerk id."""
        answer = self.control("people", handle=handle, faults={"drop": True}, **fields)
        return str(answer["person"]["id"])

    def token(self, handle: str) -> str:
        """Return a session token."""
        return str(self.control(f"people/{handle}/token")["token"])

    def me(self, token: str) -> requests.Response:
        """Request /api/v1/me; the first request creates the local row."""
        return requests.get(f"{self.api}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=20)

    def sign_in(self, handle: str, **fields: Any) -> dict[str, Any]:
        """Create a user and sign in. Return the row as the API shows it."""
        self.create_user(handle, **fields)
        return dict(self.me(self.token(handle)).json())


@contextmanager
def running_site(folder: Path, *, node_modules: Path = NODE_MODULES, **environment: str) -> Iterator[Site]:
    """Run the project on a throwaway PostgreSQL, as `make run` does; its output goes to the folder."""
    database, password = ThrowawayPostgres(), "a password for the browser"
    port, clerk_port = free_port(), free_port()
    arguments = ("up", "--port", port, "--clerk-port", clerk_port, "--run-folder", folder / "run")
    output = folder / "output.txt"
    try:
        database.start()
        with output.open("w") as sink:
            child = subprocess.Popen(
                [sys.executable, "manage.py", "devclerk", *map(str, arguments)],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "DJANGO_DEBUG": "true",
                    "DATABASE_URL": database.url,
                    "DEV_ADMIN_PASSWORD": password,
                    "CLERK_NODE_MODULES": str(node_modules),
                    **environment,
                },
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            _await_greeting(child, output)
            yield Site(
                api=f"http://127.0.0.1:{port}",
                clerk=f"http://127.0.0.1:{clerk_port}",
                admin="admin",
                password=password,
                frontend_file=folder / "run" / "frontend.env",
            )
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=20)
    finally:
        database.remove()


def _await_greeting(child: subprocess.Popen[bytes], output: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while "Ctrl-C ends both" not in output.read_text():
        if child.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"make run did not start:\n{output.read_text()[-3000:]}")
        time.sleep(0.1)
