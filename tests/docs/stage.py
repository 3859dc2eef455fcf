"""The project as a reader of the documents has it: `make run` in one terminal, a shell in another."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT
from tests.packages import PACKAGES
from tests.ports import free_port

PARTS = (*PACKAGES, "manage.py", "pyproject.toml")
SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The copy, the ports of its two servers, and the token that `make run` has printed."""

    tree: Path
    port: int
    clerk_port: int
    token: str

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run lines of a shell as a document shows them, but for the ports and the shortened token."""
        lines = script.replace("eyJ...", self.token).replace("/tmp/", f"{self.tree}/")  # noqa: S108 - theirs
        lines = lines.replace(":8000", f":{self.port}").replace(":8001", f":{self.clerk_port}")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines],  # noqa: S607 - any bash will do
            cwd=self.tree,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def clean_environment() -> dict[str, str]:
    """Return the environment of a terminal, without that of the tests."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Copy the project into a folder and start in it what `make run` starts."""
    tree = folder / "project"
    tree.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tree / part)
    (tree / ".venv").symlink_to(sys.prefix)
    port, clerk_port = free_port(), free_port()
    words = ["up", "--port", str(port), "--clerk-port", str(clerk_port)]
    server = subprocess.Popen(
        [".venv/bin/python", "manage.py", "devclerk", *words],
        cwd=tree,
        env=clean_environment() | {"DJANGO_DEBUG": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Stage(tree=tree, port=port, clerk_port=clerk_port, token=printed_token(server))
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


def printed_token(server: subprocess.Popen[str]) -> str:
    """Wait until both servers are up, and read the token off their greeting."""
    assert server.stdout
    greeting = ""
    while "Ctrl-C" not in greeting:
        line = server.stdout.readline()
        assert line, f"make run ended:\n{greeting}{server.stderr.read() if server.stderr else ''}"
        greeting += line
    (token,) = re.findall(r"Bearer ([\w.-]+)", greeting)
    return str(token)
