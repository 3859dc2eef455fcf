"""The limits of logins, with a clock that the tests move."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.login_limit import MAX_FAILURES, LoginLimiter, TooManyLogins
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> LoginLimiter:
    return LoginLimiter(clock)


def fail(limiter: LoginLimiter, username: str = "helga", *, address: str = "192.0.2.1") -> int:
    """Try a wrong password; return 0, or the seconds to wait if it was not checked."""
    try:
        with limiter.attempt(username, address=address) as attempt:
            attempt.failed = True
    except TooManyLogins as refusal:
        return refusal.retry_after
    return 0


def test_sixth_failure_of_a_minute_waits_for_the_first(limiter: LoginLimiter, clock: Clock) -> None:
    for _ in range(5):
        assert fail(limiter) == 0
        clock.now += 2
    assert fail(limiter) == 50
    clock.now += 49.5
    assert fail(limiter) == 1
    clock.now += 0.5
    assert fail(limiter) == 0
    assert fail(limiter) == 2


def test_wait_is_never_longer_than_a_minute(limiter: LoginLimiter) -> None:
    assert [fail(limiter) for _ in range(6)] == [0, 0, 0, 0, 0, 60]


def test_another_name_or_address_has_its_own_limit(limiter: LoginLimiter) -> None:
    for _ in range(6):
        fail(limiter)
    assert fail(limiter, "olaf") == 0
    assert fail(limiter, address="192.0.2.2") == 0


def test_refused_attempts_do_not_prolong_the_wait(limiter: LoginLimiter, clock: Clock) -> None:
    for _ in range(50):
        fail(limiter)
    clock.now += 60
    assert fail(limiter) == 0


def test_successful_logins_are_not_counted(limiter: LoginLimiter) -> None:
    for _ in range(100):
        with limiter.attempt("helga", address="192.0.2.1"):
            pass
    assert fail(limiter) == 0


def test_process_has_a_limit_for_all_names_and_addresses(limiter: LoginLimiter, clock: Clock) -> None:
    for number in range(MAX_FAILURES):
        assert fail(limiter, f"user {number}", address=f"192.0.2.{number}") == 0
    assert fail(limiter, "helga", address="198.51.100.1") == 60
    clock.now += 60
    assert fail(limiter, "helga", address="198.51.100.1") == 0


def test_two_passwords_are_checked_at_once(limiter: LoginLimiter) -> None:
    with limiter.attempt("helga", address=""), limiter.attempt("olaf", address=""):
        assert fail(limiter, "ida") == 1
    assert fail(limiter, "ida") == 0


def test_an_exception_ends_the_attempt(limiter: LoginLimiter) -> None:
    for _ in range(10):
        with pytest.raises(OSError, match="database"), limiter.attempt("helga", address=""):
            raise OSError("database")
    assert fail(limiter, address="") == 0


def test_an_attempt_of_more_than_a_minute_ends_without_an_error(limiter: LoginLimiter, clock: Clock) -> None:
    with limiter.attempt("helga", address=""):
        clock.now += 61
        assert fail(limiter, "olaf") == 0
    assert fail(limiter, "olaf") == 0


def test_memory_is_bounded(limiter: LoginLimiter, clock: Clock) -> None:
    for number in range(5_000):
        fail(limiter, f"{number}" * 500, address=f"{number}")
        clock.now += 1
    assert len(limiter._attempts) == MAX_FAILURES
    assert max(len(attempt.user_and_address[0]) for attempt in limiter._attempts) == 254


def test_parallel_attempts_do_not_exceed_the_limits(limiter: LoginLimiter) -> None:
    checked, running, most = 0, 0, 0
    lock, start = threading.Lock(), threading.Barrier(16)

    def guess(_: int) -> None:
        nonlocal checked, running, most
        start.wait()
        for _attempt in range(200):
            try:
                with limiter.attempt("helga", address="") as attempt:
                    attempt.failed = True
                    with lock:
                        checked, running = checked + 1, running + 1
                        most = max(most, running)
                    with lock:
                        running -= 1
            except TooManyLogins:
                pass

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(guess, range(16)))
    assert checked == 5
    assert most <= 2
