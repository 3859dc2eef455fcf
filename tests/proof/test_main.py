"""`python -m tests.proof`: the proofs that it runs, and its exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.__main__ import PROOFS, Proof

ROOT = Path(__file__).resolve().parent.parent.parent


def run_proofs(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.proof", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("listed", PROOFS, ids=lambda listed: listed.name)
def test_every_proof_is_a_function_with_a_claim(listed: Proof) -> None:
    module, _, function = listed.name.rpartition(".")
    text = (ROOT / "tests/proof" / f"{module}.py").read_text()
    assert f"def {function}(*, seed: int" in text


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    done = run_proofs("nonsense")
    assert done.returncode == 1
    assert PROOFS[0].name in done.stderr


def test_a_proof_that_exceeds_its_time_limit_has_failed() -> None:
    done = run_proofs("histories", "--minutes", "0", "--seed", "7")
    assert done.returncode == 1
    assert done.stdout.startswith("seed 7\n")
    assert done.stdout.endswith("0 passed, 1 failed\n")
