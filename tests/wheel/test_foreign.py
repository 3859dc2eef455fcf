"""Each project adopts the wheel in a process of its own, on the PostgreSQL of this test run."""

from __future__ import annotations

import os

import pytest

from tests.wheel.staging import Staging

pytestmark = [pytest.mark.postgresql, pytest.mark.own_session]
# `make proof` runs the others.
PROJECT = "mail"


def test_project_adopts_the_wheel(staging: Staging) -> None:
    printed = staging.adopt(PROJECT, database=os.environ["DATABASE_URL"])
    assert "No changes detected" in printed
    assert " passed" in printed
