"""Token bucket: a few at once, then one per interval."""

from __future__ import annotations

from accounts.clerk.token_bucket import TokenBucket
from tests.clock import Clock


def taken(bucket: TokenBucket, *, calls: int = 10) -> int:
    return sum(bucket.take() for _ in range(calls))


def test_bucket_is_full_at_first(clock: Clock) -> None:
    bucket = TokenBucket(capacity=4, seconds_per_token=60, clock=clock)
    assert taken(bucket) == 4


def test_one_token_comes_back_per_interval(clock: Clock) -> None:
    bucket = TokenBucket(capacity=4, seconds_per_token=60, clock=clock)
    taken(bucket)
    clock.now += 59.5
    assert taken(bucket) == 0
    clock.now += 0.5
    assert taken(bucket) == 1
    clock.now += 150
    assert taken(bucket) == 2
    clock.now += 30
    assert taken(bucket) == 1


def test_bucket_never_holds_more_than_its_capacity(clock: Clock) -> None:
    bucket = TokenBucket(capacity=4, seconds_per_token=0.5, clock=clock)
    assert bucket.take()
    clock.now += 10_000
    assert taken(bucket) == 4
