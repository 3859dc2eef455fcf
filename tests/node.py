"""Node and the npm packages of a folder, which the tests of JavaScript need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NODE_NEEDED = 20


def require_node(installed: Path, *, name: str, command: str) -> None:
    """Skip with a reason without Node or `installed`, a file or folder; fail if REQUIRE_NODE is set.

    `name` is that of the packages, and `command` installs them.
    """
    missing = ""
    if _node_version() < NODE_NEEDED:
        missing = f"{name}: Node {NODE_NEEDED} or newer with npm is not installed"
    elif not installed.exists():
        missing = f"{name}: the packages are not installed ({command})"
    if missing and os.environ.get("REQUIRE_NODE") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def _node_version() -> int:
    """Return the major version of the Node on the PATH, 0 without one."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        return 0
    version = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    return int(version.strip().removeprefix("v").partition(".")[0])
