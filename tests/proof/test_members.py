"""The short forms of the claims of `members`, in a process with the settings of that project."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.proof.test_main import ROOT

pytestmark = pytest.mark.postgresql


def test_short_forms_hold_in_a_project_with_users_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.proof", "--in-process", "members.short_forms_of_all_hold"]
    done = subprocess.run(
        [*command, "--seed", "1"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "rows of first requests: 10" in done.stdout
