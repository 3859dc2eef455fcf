"""The product under gunicorn or uvicorn with a PostgreSQL of its own; both can be stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import requests

from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from tests import waiting
from tests.ports import free_port
from tests.postgres import ThrowawayPostgres

ISSUER, FRONTEND = "https://clerk.example.test", "https://app.example.test"
START_SECONDS = 90.0  # eight workers on a busy machine of two cores
COMMAND_SECONDS = 240.0
MONITORING = {"Authorization": "Bearer monitoring"}
wait_until = partial(waiting.wait_until, seconds=START_SECONDS)


class Site:
    """A production-like site: DEBUG off, the key as PEM. `variables` change its environment.

    `code` is the folder of another version of the project. With `asgi` an application is served by uvicorn,
    with a pool of connections.
    """

    def __init__(
        self,
        clerk: LocalClerk,
        *,
        database: str,
        workers: int,
        code: Path | str | None = None,
        asgi: str = "",
        **variables: str,
    ) -> None:
        self._clerk, self._workers, self._code, self._asgi = clerk, workers, code, asgi
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="site-"))
        self.log = self.folder / "log"
        self.environment = os.environ | {
            "DATABASE_URL": f"{database}?pool=true" if asgi else database,
            "CLERK_ISSUER": ISSUER,
            "CLERK_JWT_KEY": clerk.pem,
            "CLERK_WEBHOOK_SIGNING_SECRET": clerk.webhook_secret,
            "CLERK_AUTHORIZED_PARTIES": FRONTEND,
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "HEALTH_TOKEN": "monitoring",
            **variables,
        }
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.manage("migrate", "-v0")
        self.start()
        wait_until(self.is_ready, what="readiness")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command in the site's environment to its end."""
        with self.begin(*arguments) as process:
            output, errors = process.communicate(timeout=COMMAND_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a management command; the caller waits for it or kills it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=self._code,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> None:
        """Start gunicorn, or uvicorn."""
        gunicorn = [
            *("gunicorn", "config.wsgi", f"--workers={self._workers}", "-b", f"127.0.0.1:{self.port}"),
            *("--no-control-socket", f"--worker-tmp-dir={self.folder}"),
        ]
        uvicorn = ["uvicorn", self._asgi, f"--workers={self._workers}", f"--port={self.port}"]
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", *(uvicorn if self._asgi else gunicorn)],
                cwd=self._code,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill the server and all workers, like a power failure."""
        if self._server is not None:
            pids = [self._server.pid, *self.workers()]
            for pid in pids:
                _kill(pid)
            self._server.wait()

    def kill_workers(self) -> None:
        """Kill every worker; gunicorn starts new ones."""
        for pid in self.workers():
            _kill(pid)

    def workers(self) -> list[int]:
        """Return the ids of the worker processes."""
        master = self._server.pid if self._server else 0
        try:
            return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
        except FileNotFoundError:
            return []

    def has_loaded(self, extension: str) -> bool:
        """Return whether each worker has loaded an extension module of this name."""
        maps = [Path(f"/proc/{pid}/maps").read_text() for pid in self.workers()]
        # Uvicorn has one more child, the resource tracker.
        return sum(f"/{extension}." in each for each in maps) >= self._workers

    def is_ready(self) -> bool:
        """Return whether the readiness probe succeeds."""
        return self.get("/health/ready").status_code == 200

    def get(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        """Send a GET request; without a response the status is 0."""
        return self._send("GET", path, headers=headers)

    def me(self, token: str) -> requests.Response:
        """Send an authenticated request to `/api/v1/me`."""
        return self.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    def deliver(self, event: object, *, svix_id: str | None = None) -> requests.Response:
        """Send a signed webhook once; without a response the status is 0."""
        headers, body = self._clerk.sign_webhook(event, svix_id=svix_id)  # type: ignore[arg-type]
        return self._send("POST", "/webhooks/clerk", headers=headers, data=body)

    def mint(self, user: ClerkUser | str, **options: Any) -> str:
        """Mint a token that this site accepts for an hour."""
        defaults: dict[str, Any] = {"issuer": self.environment["CLERK_ISSUER"], "expires": 3600}
        return self._clerk.mint(user, **defaults | {"azp": FRONTEND} | options)

    def _send(self, method: str, path: str, **how: Any) -> requests.Response:
        try:
            return requests.request(method, self.url + path, timeout=30, **how)
        except requests.RequestException:
            no_response = requests.Response()
            no_response.status_code = 0
            return no_response


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(pid, signal.SIGKILL)


def emulator_settings(clerk: LocalClerk) -> dict[str, str]:
    """Return the settings of a site that uses the emulator; DEBUG permits its plain http."""
    return {
        "DJANGO_DEBUG": "true",
        "DJANGO_HTTPS": "false",
        "CLERK_JWT_KEY": "",
        "CLERK_ISSUER": clerk.issuer,
        "CLERK_JWKS_URL": clerk.jwks_url,
        "CLERK_API_URL": clerk.api_url,
        "CLERK_SECRET_KEY": clerk.secret_key,
    }


@contextmanager
def database() -> Iterator[ThrowawayPostgres]:
    """Run a PostgreSQL on a TCP port, for other processes."""
    server = ThrowawayPostgres(tcp=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()
