"""The short form of the state machine; `make proof` runs it for minutes."""

from __future__ import annotations

import pytest

from tests.proof.histories import run_histories, simulated_clerk
from tests.proof.races import apply_concurrently
from tests.proof.simulation import LEEWAY_SECONDS, Simulation

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


def test_every_step_of_a_few_histories_keeps_the_invariants() -> None:
    seen = run_histories(seed=1, number=15, steps=40)
    assert seen["steps"] > 40
    assert seen["request 200"]
    assert seen["event duplicate"]


def test_a_few_histories_applied_by_twelve_threads_end_in_the_true_row() -> None:
    assert apply_concurrently(seed=1, number=4) == 4


def test_the_simulation_expects_the_end_of_a_token_to_the_millisecond() -> None:
    with simulated_clerk() as begin:
        simulation = Simulation(**begin)
        token = simulation.mint(0, changes_ago=0, omitted=set(), lifetime=60)
        simulation.clock.shift(60 + LEEWAY_SECONDS - 0.001)
        simulation.present(token)
        simulation.clock.shift(0.001)
        simulation.present(token)
    assert (simulation.seen["request 200"], simulation.seen["request 401"]) == (1, 1)
