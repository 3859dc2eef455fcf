"""Clerk's npm packages for the tests, which `make test` installs."""

from __future__ import annotations

from pathlib import Path

from tests.node import require_node

JAVASCRIPT = Path(__file__).parent / "javascript"
NODE_MODULES = JAVASCRIPT / "node_modules"


def require_packages() -> None:
    """Skip with a reason without Node or the packages; fail if REQUIRE_NODE is set."""
    require_node(NODE_MODULES / "@clerk" / "clerk-js", name="Clerk's packages", command="make test")
