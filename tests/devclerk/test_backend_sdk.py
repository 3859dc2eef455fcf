"""Clerk's backend SDK for Node against the emulator."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from devclerk.fixtures import LocalClerk
from devclerk.users import seeded_users
from tests.devclerk.javascript_packages import JAVASCRIPT, require_packages


@pytest.fixture
def steps(clerk: LocalClerk) -> Any:
    """Run the script and return what each of its steps returned."""
    require_packages()
    done = subprocess.run(
        ["node", "sdk.mjs"],  # noqa: S607 - the Node on PATH
        cwd=JAVASCRIPT,
        env={
            "PATH": os.environ["PATH"],
            "CLERK_URL": clerk.api_url,
            "SECRET_KEY": clerk.secret_key,
            "PUBLISHABLE_KEY": clerk.publishable_key,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_sdk_reads_and_changes_users_and_authenticates_requests(steps: Any) -> None:
    seeded = seeded_users()
    assert steps["list"] == {
        "names": [user.first_name for user in seeded[:3]],
        "totalCount": len(seeded),
        "count": len(seeded),
    }
    assert steps["update"] == "Augusta"
    assert (steps["merged"], steps["replaced"]) == ({"plan": {"name": "pro"}}, {"a": 1})
    assert (steps["ban"], steps["unban"]) == (True, False)
    assert steps["before"] == "signed-out"
    assert steps["handshake"] == {
        "status": "signed-in",
        "reason": None,
        "returned": "http://127.0.0.1:3000/notes",
    }
    assert steps["session"] == {"status": "signed-in", "mine": True}
    assert steps["verified"] is True
    assert steps["expired"]["after"] == "signed-in"
    # The expired token is an hour old, so older than the sign-in.
    assert steps["expired"]["reason"].startswith("session-token-iat-before-client-uat")
    assert steps["expired"]["status"] == "handshake"
    assert steps["banned"] == {"status": "handshake", "after": "signed-out"}
    assert steps["gone"] is True
    assert steps["unknown"] == [404, "resource_not_found"]
