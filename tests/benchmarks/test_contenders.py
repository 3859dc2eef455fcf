from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Run the small benchmark: it has its own settings and its own PostgreSQL."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.small"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_everybody_here_lets_the_right_people_in_and_nobody_else(found: dict[str, Any]) -> None:
    assert {"ours", "token", "limit", "every", "nobody"} <= found["costs"].keys()


def test_somebody_who_believes_everything_is_found_out(found: dict[str, Any]) -> None:
    assert "no authentication answered 200" in found["found_out"]


def test_ours_is_counted_as_one_statement_in_one_round_trip_and_nothing_else(found: dict[str, Any]) -> None:
    assert found["costs"]["ours"] == {"statements": 5, "round_trips": 5, "writes": 0, "calls": 0}


def test_a_contender_that_writes_is_counted_as_one_that_writes(found: dict[str, Any]) -> None:
    assert found["costs"]["every"]["writes"] >= 5
    assert found["costs"]["every"]["statements"] > found["costs"]["ours"]["statements"]


def test_a_contender_that_is_not_installed_is_named(found: dict[str, Any]) -> None:
    assert ("simplejwt, RS256" in found["missing"]) is (find_spec("rest_framework_simplejwt") is None)
