"""Clerk's npm packages for the tests, which `make test` installs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.test_typescript import NODE_NEEDED, node_version

JAVASCRIPT = Path(__file__).parent / "javascript"
NODE_MODULES = JAVASCRIPT / "node_modules"


def require_packages() -> None:
    """Skip with a reason without Node or the packages; fail if REQUIRE_NODE is set."""
    missing = ""
    if node_version() < NODE_NEEDED:
        missing = f"Clerk's packages need Node {NODE_NEEDED} or newer with npm"
    elif not (NODE_MODULES / "@clerk" / "clerk-js").is_dir():
        missing = "Clerk's packages are not installed in tests/devclerk/javascript (make test)"
    if missing and os.environ.get("REQUIRE_NODE") == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
