from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest


@pytest.fixture(scope="module", params=["benchmarks.settings", "benchmarks.account_settings"])
def results(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Run the small benchmark of each form, which has its own settings and its own PostgreSQL."""
    command = [sys.executable, "-m", "tests.benchmarks.small", request.param]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def test_every_installed_peer_accepts_only_valid_credentials(results: dict[str, Any]) -> None:
    assert {"ours", "token", "minimal", "every_request", "none"} <= results["costs"].keys()


def test_a_peer_that_accepts_every_request_is_a_wrong_answer(results: dict[str, Any]) -> None:
    assert "no authentication answered 200" in results["wrong_answer"]


def test_our_warm_request_is_one_statement_in_one_round_trip(results: dict[str, Any]) -> None:
    assert results["costs"]["ours"] == {"statements": 5, "round_trips": 5, "writes": 0, "calls": 0}


def test_a_peer_that_writes_has_its_writes_counted(results: dict[str, Any]) -> None:
    assert results["costs"]["every_request"]["writes"] >= 5
    assert results["costs"]["every_request"]["statements"] > results["costs"]["ours"]["statements"]


def test_a_peer_that_is_not_installed_is_named(results: dict[str, Any]) -> None:
    assert ("simplejwt, RS256" in results["missing"]) is (find_spec("rest_framework_simplejwt") is None)
