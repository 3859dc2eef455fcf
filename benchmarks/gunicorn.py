"""The benchmark site under gunicorn."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

THREADS = 16
STOP_SECONDS = 30.0


class Server(NamedTuple):
    """A running gunicorn: the address, and the process id of its master."""

    address: tuple[str, int]
    pid: int

    @property
    def worker_pid(self) -> int:
        """Return the process id of the worker, which has started when it has answered."""
        (pid,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(pid)


@contextmanager
def gunicorn(*, threads: int = THREADS, **variables: str) -> Iterator[Server]:
    """Run the site in one worker with threads, with further environment variables."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As gunicorn sets it on a socket that it binds itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = [sys.executable, "-m", "gunicorn", "benchmarks.wsgi:application", "--no-control-socket"]
        options = ["--worker-class", "gthread", "--threads", str(threads), "--keep-alive", "75"]
        bound = ["--bind", f"fd://{listener.fileno()}", "--log-level", "error"]
        environment = {**os.environ, **variables}
        server = subprocess.Popen([*command, *options, *bound], pass_fds=[listener.fileno()], env=environment)
        try:
            yield Server(listener.getsockname()[:2], server.pid)
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)
