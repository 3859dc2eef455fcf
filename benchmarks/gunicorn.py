"""The benchmark site under gunicorn."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 16
STOP_SECONDS = 30.0


@contextmanager
def gunicorn() -> Iterator[tuple[str, int]]:
    """Run the site in one worker with threads; yield its host and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # As gunicorn sets it on a socket that it binds itself.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        command = [sys.executable, "-m", "gunicorn", "benchmarks.wsgi:application", "--no-control-socket"]
        options = ["--worker-class", "gthread", "--threads", str(THREADS), "--keep-alive", "75"]
        bound = ["--bind", f"fd://{listener.fileno()}", "--log-level", "error"]
        server = subprocess.Popen([*command, *options, *bound], pass_fds=[listener.fileno()])
        host, port = listener.getsockname()[:2]
        try:
            yield host, port
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)
