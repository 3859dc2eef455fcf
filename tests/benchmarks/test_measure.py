from __future__ import annotations

import time
from functools import partial

from benchmarks.measure import Series, ratio, take_turns


def test_everybody_has_a_turn_in_every_round_and_not_always_in_the_same_order() -> None:
    seen: list[str] = []

    take_turns({name: partial(_note, seen, name) for name in "abcd"}, rounds=6)

    rounds = ["".join(seen[start : start + 4]) for start in range(0, 24, 4)]
    assert {"".join(sorted(each)) for each in rounds} == {"abcd"}
    assert len(set(rounds)) > 1


def _note(seen: list[str], name: str, turn: int) -> None:
    seen.append(name)


def test_an_action_is_told_how_often_it_has_run() -> None:
    turns: list[int] = []

    take_turns({"one": turns.append}, rounds=3, repeat=2)

    assert turns == [0, 1, 2, 3, 4, 5]


def test_what_comes_before_a_round_is_not_timed() -> None:
    series = take_turns({"one": lambda _: None}, rounds=2, before_round=lambda: time.sleep(0.02))["one"]

    assert series.p99 < 0.02


def test_a_ratio_is_that_of_the_rounds_so_that_a_slow_round_does_not_spoil_it() -> None:
    ours = Series([[1.0], [50.0], [1.0]])
    theirs = Series([[2.0], [100.0], [2.0]])

    assert ratio(ours, theirs) == 0.5


def test_the_median_and_the_tail_are_of_all_times() -> None:
    series = Series([[float(number) for number in range(50)], [float(number) for number in range(50, 100)]])

    assert series.p50 == 50
    assert series.p99 == 99
