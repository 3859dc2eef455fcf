"""`python -m tests.proof`: what it runs, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.__main__ import PROOFS, Proof

ROOT = Path(__file__).resolve().parent.parent.parent


def proof(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.proof", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("listed", PROOFS, ids=lambda listed: listed.name)
def test_every_proof_is_a_function_with_a_claim(listed: Proof) -> None:
    module, _, function = listed.name.rpartition(".")
    text = (ROOT / "tests/proof" / f"{module}.py").read_text()
    assert f"def {function}(*, seed: int" in text


def test_a_name_that_nobody_has_is_answered_with_those_that_there_are() -> None:
    ended = proof("nonsense")
    assert ended.returncode == 1
    assert PROOFS[0].name in ended.stderr


def test_a_proof_that_does_not_end_in_time_has_failed() -> None:
    ended = proof("histories", "--minutes", "0", "--seed", "7")
    assert ended.returncode == 1
    assert ended.stdout.startswith("seed 7\n")
    assert ended.stdout.endswith("0 passed, 1 failed\n")
