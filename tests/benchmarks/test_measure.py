from __future__ import annotations

import time
from functools import partial

from benchmarks.measure import Series, ratio, take_turns


def test_every_action_runs_in_every_round_in_varying_order() -> None:
    seen: list[str] = []

    take_turns({name: partial(_record, seen, name) for name in "abcd"}, rounds=6)

    rounds = ["".join(seen[start : start + 4]) for start in range(0, 24, 4)]
    assert {"".join(sorted(each)) for each in rounds} == {"abcd"}
    assert len(set(rounds)) > 1


def _record(seen: list[str], name: str, turn: int) -> None:
    seen.append(name)


def test_the_argument_of_an_action_is_the_number_of_its_earlier_runs() -> None:
    turns: list[int] = []

    take_turns({"one": turns.append}, rounds=3, repeat=2)

    assert turns == [0, 1, 2, 3, 4, 5]


def test_before_round_is_not_timed() -> None:
    series = take_turns({"one": lambda _: None}, rounds=2, before_round=lambda: time.sleep(0.02))["one"]

    assert series.p99 < 0.02


def test_a_slow_round_does_not_change_the_ratio() -> None:
    ours = Series([[1.0], [50.0], [1.0]])
    others = Series([[2.0], [100.0], [2.0]])

    assert ratio(ours, others) == 0.5


def test_p50_and_p99_are_over_all_durations() -> None:
    series = Series([[float(number) for number in range(50)], [float(number) for number in range(50, 100)]])

    assert series.p50 == 50
    assert series.p99 == 99
