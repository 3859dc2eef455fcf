"""The reports of requests: one build at a time, and no request that waits for it longer than allowed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from health.models import SyncFailure
from health.report.build import Report, build_report
from health.report.shared import (
    KEPT_SECONDS,
    STATUS_SECONDS,
    STUCK_SECONDS,
    SharedReports,
    build_in_thread,
)
from tests.clock import Clock
from tests.health.rows import failures
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


class Builder:
    """Builds real reports; while `hold` is set, a build waits, as it would for a locked table."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.released.set()
        self.counted: list[bool] = []

    def __call__(self, *, count_users: bool) -> Report:
        self.counted.append(count_users)
        assert self.released.wait(10)
        return build_in_thread(count_users=count_users)


@pytest.fixture
def builder() -> Iterator[Builder]:
    builder = Builder()
    yield builder
    builder.released.set()
    wait_until(lambda: all(thread.name != "health-report" for thread in threading.enumerate()))


def test_status_is_kept_for_two_seconds(builder: Builder) -> None:
    clock = Clock()
    reports = SharedReports(builder, clock=clock)
    assert status(reports) == "ok"
    SyncFailure.objects.record([failures("user_a", at=NOW)], now=NOW)
    clock.now += STATUS_SECONDS - 0.1
    assert status(reports) == "ok"
    assert builder.counted == [False]
    clock.now += 0.1
    assert status(reports) == "degraded"


def status(reports: SharedReports, *, count_users: bool = False) -> str | None:
    report = reports.get(count_users=count_users)
    return None if report is None else report.status


def test_details_are_built_for_each_request(builder: Builder) -> None:
    reports = SharedReports(builder)
    assert status(reports, count_users=True) == "ok"
    SyncFailure.objects.record([failures("user_a", at=NOW)], now=NOW)
    assert status(reports, count_users=True) == "degraded"
    assert builder.counted == [True, True]


@pytest.mark.parametrize("count_users", [False, True])
def test_without_a_report_a_request_waits_until_the_deadline(builder: Builder, *, count_users: bool) -> None:
    reports = SharedReports(builder, deadline=0.1)
    builder.released.clear()
    begin = time.monotonic()
    assert status(reports, count_users=count_users) is None
    assert 0.1 <= time.monotonic() - begin < 1
    # The build is older than the deadline: the next requests do not wait at all.
    reports_without_wait = [status(reports, count_users=count_users) for _ in range(20)]
    assert reports_without_wait == [None] * 20
    assert time.monotonic() - begin < 1
    assert builder.counted == [count_users]


def test_other_requests_get_the_last_report_at_once(builder: Builder) -> None:
    clock = Clock()
    reports = SharedReports(builder, deadline=10, clock=clock)
    assert status(reports, count_users=True) == "ok"
    clock.now += STATUS_SECONDS
    builder.released.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(status, reports)
        wait_until(lambda: len(builder.counted) == 2)
        assert [status(reports) for _ in range(20)] == ["ok"] * 20
        assert status(reports, count_users=True) == "ok"
        assert not first.done()
        builder.released.set()
        assert first.result(10) == "ok"
    assert builder.counted == [True, False]


def test_a_report_is_kept_for_a_minute(builder: Builder) -> None:
    clock = Clock()
    reports = SharedReports(builder, deadline=0.0, clock=clock)
    assert status(SharedReports(builder)) == "ok"  # loads what a first build loads
    builder.released.clear()
    assert status(reports) is None
    builder.released.set()
    wait_until(lambda: status(reports) == "ok")
    builder.released.clear()
    clock.now += KEPT_SECONDS - 0.1
    assert status(reports) == "ok"
    clock.now += 0.1
    assert status(reports) is None


def test_details_are_never_a_report_without_users(builder: Builder) -> None:
    reports = SharedReports(builder)
    builder.released.clear()
    with ThreadPoolExecutor(2) as pool:
        anonymous = pool.submit(reports.get, count_users=False)
        wait_until(lambda: len(builder.counted) == 1)
        detailed = pool.submit(reports.get, count_users=True)
        time.sleep(0.05)
        builder.released.set()
        report = detailed.result(10)
        assert anonymous.result(10) is not None
    assert report is not None
    assert report.people is not None
    assert builder.counted == [False, True]


def test_a_build_that_never_ends_is_replaced_after_ten_minutes(builder: Builder) -> None:
    clock = Clock()
    reports = SharedReports(builder, deadline=0.0, clock=clock)
    builder.released.clear()
    assert status(reports) is None
    clock.now += STUCK_SECONDS
    assert status(reports) is None
    assert len(builder.counted) == 1
    clock.now += 1
    assert status(reports) is None
    assert len(builder.counted) == 2


def test_a_failed_build_is_logged_by_its_class(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*, count_users: bool) -> Report:
        raise LookupError("a canary")

    assert SharedReports(fail).get(count_users=False) is None
    (record, *_) = [each for each in caplog.records if each.name == "health.report.shared"]
    assert vars(record)["error"] == "LookupError"
    assert "canary" not in caplog.text


@pytest.mark.postgresql
def test_locked_ledger_gives_unknown_in_time_and_leaves_no_connection(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = ("whsec_dGVzdA==",)
    headers = {"Authorization": "Bearer a token of the monitoring"}
    settings.HEALTH_TOKEN = "a token of the monitoring"
    Client().get("/health/live")  # the first request of a process imports the addresses
    connect = connection.get_new_connection
    with connect(connection.get_connection_params()) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE webhooks_webhookevent IN ACCESS EXCLUSIVE MODE")
        begin = time.monotonic()
        assert Client().get("/health/sync").json() == {"status": "unknown"}
        assert time.monotonic() - begin < 2.5
        with ThreadPoolExecutor(10) as pool:
            bodies = list(pool.map(lambda _: ask(headers), range(10)))
        assert bodies == [{"status": "unknown"}] * 10
        assert time.monotonic() - begin < 2.5
        other.rollback()
    wait_until(lambda: Client().get("/health/sync").json() == {"status": "ok"})
    assert build_report(now=NOW).status == "ok"


def ask(headers: dict[str, str]) -> Any:
    try:
        return Client().get("/health/sync", headers=headers).json()
    finally:
        connection.close()
