"""/health/live and /health/ready, requested by IP address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from health.checks import REMEMBERED_SECONDS, DatabaseCheck, NotReady
from health.models import SyncFailure
from health.recorder import PAUSE_SECONDS, recorder
from tests.clock import Clock
from tests.health.conftest import Away
from tests.waiting import wait_until

PROBES = ["/health/live", "/health/ready"]


@pytest.fixture
def client() -> Client:
    # Not in ALLOWED_HOSTS: orchestrators use IP addresses.
    return Client(headers={"Host": "10.0.0.7:8000"})


def test_live_answers_without_the_database(client: Client) -> None:
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_answers_ok(client: Client) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROBES)
def test_probes_are_not_redirected_to_https(client: Client, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROBES)
def test_probes_are_never_cached_and_have_a_request_id(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-ID"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROBES)
def test_head_is_answered_like_get(client: Client, path: str) -> None:
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_other_methods_are_405(client: Client, path: str, method: str) -> None:
    answer = getattr(client, method)(path)
    assert (answer.status_code, answer["Allow"], answer["Cache-Control"]) == (405, "GET, HEAD", "no-store")


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROBES)
def test_session_cookie_costs_a_probe_no_statement(
    client: Client, path: str, django_assert_num_queries: Any
) -> None:
    client.cookies["sessionid"] = "any"
    with django_assert_num_queries(0):
        assert client.get(path).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_ready_is_503_and_live_is_200_while_the_database_is_down(client: Client, away: Away) -> None:
    with away():
        assert client.get("/health/live").status_code == 200
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "database_unavailable"})
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_unusable_database_option_is_database_unavailable(client: Client) -> None:
    options = connection.settings_dict["OPTIONS"]
    options["row_factory"] = "foo"  # both drivers answer with a TypeError
    try:
        answer = client.get("/health/ready")
    finally:
        del options["row_factory"]
    assert (answer.status_code, answer.json()) == (503, {"status": "database_unavailable"})


@contextmanager
def silent_server() -> Iterator[int]:
    """Accept connections and never answer, as a host does whose disk or network hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_hanging_database_does_not_hang_the_probe_or_pile_up_threads(client: Client, away: Away) -> None:
    before = threading.active_count()
    with away(), silent_server() as port:
        connection.settings_dict["PORT"] = str(port)
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get("/health/ready"), range(8)))
        assert time.monotonic() - started < 2
        assert {answer.status_code for answer in answers} == {503}
        assert threading.active_count() <= before + 1
    wait_until(lambda: client.get("/health/ready").status_code == 200, seconds=10)


@pytest.mark.django_db(transaction=True)
def test_process_without_free_threads_is_not_ready_and_recovers() -> None:
    check = DatabaseCheck()
    old = threading.stack_size(2**47)  # more than the address space
    try:
        with pytest.raises(NotReady) as refused:
            check.run()
    finally:
        threading.stack_size(old)
    assert refused.value.status == "database_unavailable"
    check.run()


@pytest.mark.django_db(transaction=True)
def test_unapplied_migration_is_pending_until_it_is_applied() -> None:
    clock = Clock()
    check = DatabaseCheck(clock=clock)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'health'")
    with pytest.raises(NotReady) as refused:
        check.run()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('health', '0001_initial', CURRENT_TIMESTAMP)"
        )
    assert refused.value.status == "migrations_pending"
    clock.now += REMEMBERED_SECONDS
    check.run()


@pytest.mark.django_db(transaction=True)
def test_applied_migrations_are_read_once(django_assert_num_queries: Any) -> None:
    clock = Clock()
    check = DatabaseCheck(clock=clock)
    check.run()
    clock.now += REMEMBERED_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO renamed")
    try:
        check.run()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE renamed RENAME TO django_migrations")


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_the_answer_of_the_database_is_valid_for_a_second(away: Away) -> None:
    clock = Clock()
    check = DatabaseCheck(clock=clock)
    check.run()
    with away():
        clock.now += 0.9
        check.run()
        clock.now += 0.1
        for _ in range(2):
            with pytest.raises(NotReady):
                check.run()
    clock.now += 0.9
    with pytest.raises(NotReady):
        check.run()
    clock.now += 0.1
    check.run()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_probes_wait_for_a_hanging_database_one_second_together(away: Away) -> None:
    check = DatabaseCheck()
    with away(), silent_server() as port:
        connection.settings_dict["PORT"] = str(port)
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(NotReady):
                check.run()
        assert time.monotonic() - started < 1.5


@pytest.mark.django_db
def test_ready_is_503_without_a_key(client: Client, settings: Settings) -> None:
    settings.CLERK_JWT_KEY = ""
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "no_verification_key"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "mode"),
    [({"CLERK_JWT_KEY": "no PEM"}, "pem"), ({"CLERK_JWKS_URL": "ftp://127.0.0.1"}, "jwks")],
)
def test_a_key_source_that_fails_is_reported_and_no_500(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture, setting: dict[str, str], mode: str
) -> None:
    settings.CLERK_JWT_KEY, settings.HEALTH_TOKEN = "", "a health token of 32 characters."
    for name, value in setting.items():
        setattr(settings, name, value)
    authorization = {"Authorization": f"Bearer {settings.HEALTH_TOKEN}"}
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"status": "no_verification_key"})
    assert client.get("/health/sync").json() == {"status": "degraded"}
    report = client.get("/health/sync", headers=authorization).json()
    assert [reason["code"] for reason in report["reasons"]] == ["no_verification_key"]
    assert "ValueError" in report["reasons"][0]["detail"]
    unknown = {"age_seconds": None, "clock_skew_seconds": None}
    assert report["keys"] == {"mode": mode, "stale": True, **unknown}
    assert client.get("/metrics", headers=authorization).status_code == 200
    lines = [record for record in caplog.records if record.name == "accounts.conf"]
    assert {(record.getMessage(), vars(record)["error"]) for record in lines} == {
        ("The key source failed", "ValueError")
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_probe_after_an_outage_writes_pending_failures(
    client: Client, away: Away, recorder_clock: Clock
) -> None:
    with away():
        recorder.record(clerk_id=None, source="request", reason="database_error", at=timezone.now())
        recorder_clock.now += PAUSE_SECONDS
        client.get("/health/ready")
    assert not SyncFailure.objects.exists()
    recorder_clock.now += PAUSE_SECONDS
    client.get("/health/ready")
    assert SyncFailure.objects.get().reason == "database_error"
