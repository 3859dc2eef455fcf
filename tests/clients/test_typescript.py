"""Run the tests of the TypeScript client against the real server and the Clerk emulator.

They are in clients/typescript/tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from devclerk.fixtures import LocalClerk
from tests.factories import UserFactory
from tests.node import require_node

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
SECONDS = 600


@pytest.fixture
def installed() -> None:
    """Skip with a reason without Node or the packages; fail if REQUIRE_NODE is set."""
    require_node(CLIENT / "node_modules" / ".installed", name="the TypeScript client", command="make client")


@pytest.fixture
def close_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the server's database connections after each request, because its threads outlive the test."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("installed", "clerk_settings", "close_connections")
def test_all_tests_of_the_client_pass(
    live_server: LiveServer, clerk: LocalClerk, settings: Settings, tmp_path: Path
) -> None:
    settings.ROOT_URLCONF = "tests.clients.urls"
    settings.CORS_ALLOWED_ORIGINS = [clerk.issuer]
    UserFactory.create(clerk_id=clerk.person("grace").id, is_staff=True)
    clerk.send_webhooks_to(f"{live_server.url}/webhooks/clerk")
    results = tmp_path / "results.json"

    done = subprocess.run(
        ["npm", "test", "--", "--reporter=default", "--reporter=json", f"--outputFile.json={results}"],  # noqa: S607
        cwd=CLIENT,
        env={**os.environ, "API_URL": live_server.url, "CLERK_URL": clerk.issuer, "NO_COLOR": "1"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stdout
    counts = json.loads(results.read_text())
    assert counts["numPassedTests"] == counts["numTotalTests"] >= 25
