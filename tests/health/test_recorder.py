from __future__ import annotations

import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from health.models import SyncFailure
from health.recorder import MAX_ENTRIES, PAUSE_SECONDS, SECONDS_PER_WRITE, WRITES_AT_ONCE, Recorder
from tests.clock import Clock
from tests.health.conftest import Away
from tests.webhooks.trouble import address

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
USER = "user_a"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    return Recorder(clock=clock)


def fail(recorder: Recorder, clerk_id: str | None = USER, *, reason: str = "unusable_field:email") -> None:
    recorder.record(clerk_id=clerk_id, source="request", reason=reason, at=NOW)


def test_first_failure_is_written_at_once(recorder: Recorder) -> None:
    fail(recorder)
    row = SyncFailure.objects.get()
    assert (row.clerk_id, row.source, row.reason, row.count) == (USER, "request", "unusable_field:email", 1)


@pytest.mark.parametrize("reason", ["database_error", "lock_timeout", "keys_unavailable"])
def test_outage_has_one_row_without_a_user(recorder: Recorder, reason: str) -> None:
    for clerk_id in ("user_a", "user_b", None):
        fail(recorder, clerk_id, reason=reason)
    recorder.flush(now=NOW, force=True)
    row = SyncFailure.objects.get()
    assert (row.clerk_id, row.count) == (None, 3)


def test_repeats_within_a_minute_cost_no_statement_and_are_counted_later(
    recorder: Recorder, django_assert_num_queries: object
) -> None:
    fail(recorder)
    with django_assert_num_queries(0):  # type: ignore[operator]
        for _ in range(99):
            fail(recorder)
    recorder.flush(now=NOW)
    assert SyncFailure.objects.get().count == 1
    recorder.flush(now=NOW, force=True)
    assert SyncFailure.objects.get().count == 100


def test_repeats_are_written_after_a_minute(recorder: Recorder, clock: Clock) -> None:
    fail(recorder)
    clock.now += 59.9
    fail(recorder)
    assert SyncFailure.objects.get().count == 1
    clock.now += 0.1
    fail(recorder)
    assert SyncFailure.objects.get().count == 3


@pytest.mark.postgresql
def test_failures_stay_in_memory_while_the_database_is_down(recorder: Recorder, away: Away) -> None:
    with away():
        for _ in range(3):
            fail(recorder)
        assert [each.count for each in recorder.get_unwritten()] == [3]
    recorder.flush(now=NOW, force=True)
    assert SyncFailure.objects.get().count == 3
    assert recorder.get_unwritten() == []


@pytest.mark.postgresql
def test_next_failure_after_the_outage_writes_pending_failures(
    recorder: Recorder, clock: Clock, away: Away
) -> None:
    with away():
        fail(recorder, reason="database_error")
    clock.now += PAUSE_SECONDS
    fail(recorder, "user_b")
    assert set(SyncFailure.objects.values_list("reason", flat=True)) == {
        "database_error",
        "unusable_field:email",
    }


@pytest.mark.postgresql
def test_dead_database_is_not_tried_for_each_failure(recorder: Recorder, away: Away) -> None:
    with away():
        fail(recorder)
    fail(recorder, "user_b")
    assert not SyncFailure.objects.exists()
    assert len(recorder.get_unwritten()) == 2


@pytest.mark.postgresql
def test_failed_connection_is_not_tried_again_within_the_pause(recorder: Recorder, clock: Clock) -> None:
    connection.close()
    fail(recorder, reason="database_error")
    assert [each.count for each in recorder.get_unwritten()] == [1]
    clock.now += PAUSE_SECONDS - 0.1
    recorder.flush(now=NOW)
    assert [each.count for each in recorder.get_unwritten()] == [1]
    clock.now += 0.1
    recorder.flush(now=NOW)
    assert SyncFailure.objects.get().count == 1


@pytest.mark.postgresql
def test_recording_waits_less_than_a_second_for_a_lock(recorder: Recorder) -> None:
    fail(recorder)
    with psycopg.connect(address(), autocommit=False) as other:
        other.execute("LOCK TABLE health_syncfailure IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        fail(recorder, "user_b")
        assert time.monotonic() - started < 1
    recorder.flush(now=NOW, force=True)
    assert set(SyncFailure.objects.values_list("clerk_id", flat=True)) == {USER, "user_b"}


def test_flood_of_different_failures_is_written_in_batches(recorder: Recorder, clock: Clock) -> None:
    with CaptureQueriesContext(connection) as captured:
        for number in range(500):
            fail(recorder, f"user_{number}")
        assert SyncFailure.objects.count() == WRITES_AT_ONCE
        clock.now += SECONDS_PER_WRITE
        fail(recorder, "user_0")
        assert SyncFailure.objects.count() == 500
        fail(recorder, "user_500")
    inserts = [each for each in captured if 'INSERT INTO "health_syncfailure"' in each["sql"]]
    assert len(inserts) == WRITES_AT_ONCE + 1
    recorder.flush(now=NOW, force=True)
    assert SyncFailure.objects.count() == 501


@pytest.mark.postgresql
@pytest.mark.own_session
def test_connection_closed_by_the_server_is_replaced(recorder: Recorder) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_terminate, pid).result()
    fail(recorder)
    assert SyncFailure.objects.get().count == 1


def _terminate(pid: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        connection.close()


@pytest.mark.postgresql
def test_flood_while_the_database_is_down_has_bounded_memory(recorder: Recorder, away: Away) -> None:
    with away():
        tracemalloc.start()
        for number in range(20 * MAX_ENTRIES):
            fail(recorder, f"user_{number}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(recorder.get_unwritten()) == MAX_ENTRIES
        assert recorder.dropped_count == 19 * MAX_ENTRIES
        assert peak < 3_000_000
    recorder.flush(now=NOW, force=True)
    assert SyncFailure.objects.count() == MAX_ENTRIES


def test_failure_inside_a_transaction_is_written_after_commit(recorder: Recorder) -> None:
    with transaction.atomic():
        fail(recorder)
        assert not SyncFailure.objects.exists()
    assert SyncFailure.objects.get().count == 1


def test_rollback_keeps_the_failure(recorder: Recorder) -> None:
    with transaction.atomic():
        fail(recorder)
        transaction.set_rollback(True)
    assert not SyncFailure.objects.exists()
    recorder.flush(now=NOW)
    assert SyncFailure.objects.get().count == 1


def test_threads_lose_no_count(recorder: Recorder) -> None:
    def work(_: int) -> None:
        try:
            for _ in range(50):
                fail(recorder)
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    recorder.flush(now=NOW, force=True)
    assert SyncFailure.objects.get().count == 600


def test_long_codes_are_truncated(recorder: Recorder) -> None:
    recorder.record(
        clerk_id="user_" + "x" * 99, source="s" * 99, reason="r" * 999, at=datetime.now(NOW.tzinfo)
    )
    row = SyncFailure.objects.get()
    assert [len(row.clerk_id or ""), len(row.source), len(row.reason)] == [64, 20, 100]
