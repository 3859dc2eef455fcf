"""Single flight: one run at a time, shared by its callers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.clerk.single_flight import Run, SingleFlight
from tests.clock import Clock
from tests.waiting import wait_until


class Work:
    """A function that runs until it may end, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = threading.Event()

    def __call__(self) -> int:
        self.calls += 1
        call = self.calls
        self.may_end.wait(10)
        return call


@pytest.fixture
def work() -> Work:
    return Work()


def test_parallel_callers_share_one_run(work: Work) -> None:
    flight = SingleFlight(work, name="test-run")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: flight.join_or_start(), range(8)))
    work.may_end.set()
    (run,) = set(runs)
    assert run is not None
    assert run.ended.wait(5)
    assert (run.result, run.error, work.calls) == (1, None, 1)


def test_next_caller_after_the_end_starts_another_run(work: Work) -> None:
    work.may_end.set()
    flight = SingleFlight(work, name="test-run")
    for expected in (1, 2):
        run = flight.join_or_start()
        assert run is not None
        assert run.ended.wait(5)
        assert run.result == expected
        assert flight.join() is None


def test_join_returns_the_run_in_flight_and_starts_none(work: Work) -> None:
    flight = SingleFlight(work, name="test-run")
    assert flight.join() is None
    run = flight.join_or_start()
    assert flight.join() is run
    work.may_end.set()
    assert work.calls == 1


def test_only_the_caller_that_would_start_is_asked_for_the_permission(work: Work) -> None:
    flight, asked = SingleFlight(work, name="test-run"), list[bool]()

    def permitted() -> bool:
        asked.append(len(asked) > 0)
        return asked[-1]

    assert flight.join_or_start(permitted=permitted) is None
    run = flight.join_or_start(permitted=permitted)
    assert run is not None
    assert flight.join_or_start(permitted=permitted) is run
    work.may_end.set()
    assert asked == [False, True]


def test_error_of_the_function_is_the_error_of_the_run() -> None:
    def fail() -> None:
        raise LookupError("reason")

    run = SingleFlight(fail, name="test-run").join_or_start()
    assert run is not None
    assert run.ended.wait(5)
    assert isinstance(run.error, LookupError)


def test_on_end_sees_the_run_before_its_callers_do(work: Work) -> None:
    seen: list[tuple[int | None, bool]] = []

    def on_end(run: Run[int]) -> None:
        seen.append((run.result, run.ended.is_set()))

    run = SingleFlight(work, name="test-run", on_end=on_end).join_or_start()
    work.may_end.set()
    assert run is not None
    assert run.ended.wait(5)
    assert seen == [(1, False)]


def test_overdue_run_has_ended_for_its_callers_and_its_late_result_is_dropped(work: Work) -> None:
    clock, ends = Clock(), list[Run[int]]()
    flight = SingleFlight(work, name="test-run", on_end=ends.append, max_seconds=2, clock=clock)
    overdue = flight.join_or_start()
    assert overdue is not None
    clock.now += 2
    assert flight.join() is overdue
    clock.now += 0.1
    second = flight.join_or_start()
    assert second is not None
    assert second is not overdue
    assert overdue.ended.is_set()
    assert isinstance(overdue.error, TimeoutError)
    wait_until(lambda: work.calls == 2)
    work.may_end.set()
    assert second.ended.wait(5)
    wait_until(lambda: not [each for each in threading.enumerate() if each.name == "test-run"])
    assert (overdue.result, second.result) == (None, 2)
    assert ends == [overdue, second]


def test_run_without_a_limit_is_never_overdue(work: Work) -> None:
    clock = Clock()
    flight = SingleFlight(work, name="test-run", clock=clock)
    run = flight.join_or_start()
    clock.now += 1_000_000
    assert flight.join_or_start() is run
    work.may_end.set()


def test_run_is_a_daemon_thread_of_its_name(work: Work) -> None:
    SingleFlight(work, name="test-of-names").join_or_start()
    (thread,) = [each for each in threading.enumerate() if each.name == "test-of-names"]
    assert thread.daemon
    work.may_end.set()


def test_process_without_free_threads_raises_and_recovers(work: Work) -> None:
    flight = SingleFlight(work, name="test-run")
    old = threading.stack_size(2**47)  # more than the address space
    try:
        with pytest.raises(RuntimeError):
            flight.join_or_start()
    finally:
        threading.stack_size(old)
    work.may_end.set()
    run = flight.join_or_start()
    assert run is not None
    assert run.ended.wait(5)
    assert run.result == 1
