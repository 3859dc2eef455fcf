"""Timing for a noisy machine: all actions take turns in every round, in another order each time.

A ratio is the median of the rounds' ratios: what slows a whole round slows both actions of a pair.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Action = Callable[[int], object]


@dataclass(slots=True)
class Series:
    """The durations of one action in seconds, by round."""

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def medians(self) -> list[float]:
        """Return the median of each round."""
        return [statistics.median(times) for times in self.rounds]

    @property
    def p50(self) -> float:
        """Return the median of all durations."""
        return self._quantile(0.50)

    @property
    def p99(self) -> float:
        """Return the 99th percentile of all durations."""
        return self._quantile(0.99)

    def _quantile(self, share: float) -> float:
        times = sorted(each for times in self.rounds for each in times)
        return times[int(len(times) * share)]


def take_turns(
    actions: Mapping[str, Action],
    *,
    rounds: int,
    repeat: int = 1,
    before_round: Callable[[], None] = lambda: None,
) -> dict[str, Series]:
    """Time each action `repeat` times in each round; its argument is the number of its earlier runs."""
    order = list(actions)
    shuffle = random.Random(1).shuffle  # noqa: S311 - an order, no secret
    series = {name: Series() for name in order}
    for number in range(rounds):
        before_round()
        shuffle(order)
        for name in order:
            action = actions[name]
            times = [_time(action, number * repeat + turn) for turn in range(repeat)]
            series[name].rounds.append(times)
    return series


def ratio(over: Series, under: Series) -> float:
    """Return the median over the rounds of the duration of `over` divided by that of `under`."""
    return statistics.median(a / b for a, b in zip(over.medians, under.medians, strict=True))


def _time(action: Action, turn: int) -> float:
    started = time.perf_counter()
    action(turn)
    return time.perf_counter() - started
