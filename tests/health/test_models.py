from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from health.models import SyncFailure
from tests.health.rows import MINUTE, failures

pytestmark = pytest.mark.django_db
NOW = timezone.now()
USER = "user_a"


@pytest.mark.parametrize("clerk_id", [USER, ""])
def test_repeated_failure_increases_the_count_of_the_open_row(clerk_id: str) -> None:
    SyncFailure.objects.record([failures(clerk_id, at=NOW, times=2)], now=NOW)
    SyncFailure.objects.record([failures(clerk_id, at=NOW + MINUTE, times=3)], now=NOW + MINUTE)
    row = SyncFailure.objects.get()
    assert (row.clerk_id, row.count, row.first_at, row.last_at) == (clerk_id or None, 5, NOW, NOW + MINUTE)


def test_late_report_does_not_move_last_at_back() -> None:
    SyncFailure.objects.record([failures(USER, at=NOW)], now=NOW)
    SyncFailure.objects.record([failures(USER, at=NOW - MINUTE)], now=NOW)
    assert SyncFailure.objects.get().last_at == NOW


def test_another_user_source_or_reason_is_another_row() -> None:
    batch = [
        failures(USER, at=NOW),
        failures("user_b", at=NOW),
        failures(USER, at=NOW, source="webhook"),
        failures(USER, at=NOW, reason="unusable_profile"),
        failures(at=NOW),
        failures(at=NOW, source="webhook"),
    ]
    SyncFailure.objects.record(batch, now=NOW)
    assert SyncFailure.objects.count() == len(batch)


@pytest.mark.parametrize("clerk_id", [USER, None])
def test_database_refuses_second_open_row(clerk_id: str | None) -> None:
    values = {"clerk_id": clerk_id, "source": "request", "reason": "x", "first_at": NOW, "last_at": NOW}
    SyncFailure.objects.create(**values, closed_at=NOW)
    SyncFailure.objects.create(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        SyncFailure.objects.create(**values)


def test_success_closes_all_open_rows_of_the_user_only() -> None:
    batch = [failures(USER, at=NOW), failures(USER, at=NOW, source="webhook"), failures("user_b", at=NOW)]
    SyncFailure.objects.record([*batch, failures(at=NOW)], now=NOW)
    SyncFailure.objects.close_for([USER], at=NOW)
    assert SyncFailure.objects.filter(clerk_id=USER, closed_at=NOW).count() == 2
    assert set(SyncFailure.objects.open().values_list("clerk_id", flat=True)) == {"user_b", None}


def test_failure_after_the_success_opens_a_new_row() -> None:
    SyncFailure.objects.record([failures(USER, at=NOW)], now=NOW)
    SyncFailure.objects.close_for([USER], at=NOW + MINUTE)
    SyncFailure.objects.record([failures(USER, at=NOW + 2 * MINUTE)], now=NOW + 2 * MINUTE)
    assert SyncFailure.objects.count() == 2
    assert SyncFailure.objects.open().get().first_at == NOW + 2 * MINUTE


def test_repeats_from_before_the_success_count_on_the_closed_row() -> None:
    SyncFailure.objects.record([failures(USER, at=NOW)], now=NOW)
    SyncFailure.objects.close_for([USER], at=NOW + MINUTE)
    late = failures(USER, at=NOW + timedelta(seconds=10), times=4)
    SyncFailure.objects.record([late], now=NOW + 2 * MINUTE)
    row = SyncFailure.objects.get()
    assert (row.count, row.closed_at) == (5, NOW + MINUTE)


@pytest.mark.parametrize(("minutes", "open_rows"), [(14, 1), (16, 0)])
def test_outage_closes_after_15_minutes(minutes: int, open_rows: int) -> None:
    SyncFailure.objects.record([failures(at=NOW)], now=NOW)
    SyncFailure.objects.close_expired_outages(now=NOW + minutes * MINUTE)
    assert SyncFailure.objects.open().count() == open_rows


def test_outage_after_15_minutes_is_a_new_row() -> None:
    SyncFailure.objects.record([failures(at=NOW)], now=NOW)
    SyncFailure.objects.record([failures(at=NOW + 16 * MINUTE)], now=NOW + 16 * MINUTE)
    assert SyncFailure.objects.count() == 2
    assert SyncFailure.objects.open().get().count == 1


def test_failure_of_a_user_does_not_close_after_time() -> None:
    SyncFailure.objects.record([failures(USER, at=NOW)], now=NOW)
    SyncFailure.objects.close_expired_outages(now=NOW + 60 * MINUTE)
    assert SyncFailure.objects.open().exists()


def in_parallel(work: Callable[[int], None], *, threads: int = 12) -> None:
    start = Barrier(threads)

    def each(number: int) -> None:
        start.wait()
        try:
            work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(each, range(threads)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("clerk_id", [USER, ""])
def test_twelve_threads_with_the_same_failure_write_one_row_and_lose_no_count(clerk_id: str) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            SyncFailure.objects.record([failures(clerk_id, at=NOW)], now=NOW)

    in_parallel(work)
    assert SyncFailure.objects.get().count == 120


@pytest.mark.django_db(transaction=True)
def test_threads_that_write_rows_in_different_orders_do_not_deadlock() -> None:
    batch = [failures(f"user_{number}", at=NOW) for number in range(30)]

    def work(number: int) -> None:
        for _ in range(5):
            SyncFailure.objects.record(batch if number % 2 else reversed(batch), now=NOW)

    in_parallel(work)
    assert set(SyncFailure.objects.values_list("count", flat=True)) == {60}


@pytest.mark.django_db(transaction=True)
def test_concurrent_recording_and_closing_lose_no_count() -> None:
    def work(number: int) -> None:
        for _ in range(20):
            if number % 3:
                SyncFailure.objects.record([failures(USER, at=timezone.now())], now=timezone.now())
            else:
                SyncFailure.objects.close_for([USER], at=timezone.now())

    in_parallel(work)
    assert sum(SyncFailure.objects.values_list("count", flat=True)) == 160
