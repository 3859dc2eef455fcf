"""Runs of `devclerk`: its output, and `make run` as a child process."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

ROOT = Path(__file__).parent.parent.parent
Start = Callable[..., subprocess.Popen[str]]
Run = Callable[..., str]


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token, not verified."""
    return dict(jwt.decode(token.strip(), options={"verify_signature": False}))


def stop(child: subprocess.Popen[str]) -> None:
    """End the run and wait for its end."""
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
