"""The short form of the state machine; `make proof` runs it for minutes."""

from __future__ import annotations

import pytest

from tests.proof.histories import run_histories
from tests.proof.races import apply_concurrently

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def test_every_step_of_a_few_histories_keeps_the_invariants() -> None:
    seen = run_histories(seed=1, number=15, steps=40)
    assert seen["steps"] > 40
    assert seen["request 200"]
    assert seen["event duplicate"]


def test_a_few_histories_applied_by_twelve_threads_end_in_the_true_row() -> None:
    assert apply_concurrently(seed=1, number=4) == 4
