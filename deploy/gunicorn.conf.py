# ruff: noqa: INP001 - gunicorn reads it by its path
"""How gunicorn serves inside the image; it reads this file from its working folder by itself.

The number of workers is WEB_CONCURRENCY, gunicorn's own variable.
"""

from __future__ import annotations

import os
from pathlib import Path

bind = "0.0.0.0:8000"
# Requests wait for the database, so threads; never preloaded: each worker fetches its keys after the fork.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
# Each thread keeps a connection: workers x threads x replicas stay below the database's max_connections.
threads = 8
# For a worker that hangs as a whole. A single slow request is bounded by the timeouts of the database.
timeout = 30
# Less than what an orchestrator waits before it kills (Docker 10 s unless told, Kubernetes 30 s).
graceful_timeout = 20
# Longer than the proxy keeps an idle connection: it must never be us who closes one that it is about to use.
keepalive = 75
# The heartbeats of the workers: on a disk they may block.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - a folder of memory, the container's own
# Needs a home folder, which this account does not have.
control_socket_disable = True


def on_starting(server: object) -> None:
    """Forget the series of the last start: in a container that was restarted they would be counted again."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for path in Path(folder).glob("*.db") if folder else ():
        path.unlink()
