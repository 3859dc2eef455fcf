# ruff: noqa: INP001 - gunicorn reads it by its path
"""The configuration of gunicorn in the image; gunicorn reads this file from its working folder.

The number of workers is WEB_CONCURRENCY, gunicorn's own variable.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

# All addresses, of IPv6 too where the kernel has it.
bind = "[::]:8000" if socket.has_dualstack_ipv6() else "0.0.0.0:8000"
# Threads, because requests wait for the database. With preload_app too, each worker fetches its keys itself.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
# Each thread keeps a connection: workers x threads x replicas must stay below the database's max_connections.
threads = 8
# For a worker that hangs completely. The timeouts of the database limit a single slow request.
timeout = 30
# Less than an orchestrator waits before it kills (by default Docker 10 s, Kubernetes 30 s).
graceful_timeout = 20
# Longer than the proxy keeps an idle connection, so that only the proxy closes one.
keepalive = 75
# The heartbeat files of the workers; on a disk they can block.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - a memory file system of the container
# It needs a home folder, which this account does not have.
control_socket_disable = True


def on_starting(server: object) -> None:
    """Delete the metric files of the last start; a restarted container would count them again."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    for path in Path(folder).glob("*.db") if folder else ():
        path.unlink()
