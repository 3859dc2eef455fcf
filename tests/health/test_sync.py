"""/health/sync and /metrics: the status for anonymous requests, the details for authorized ones."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from health.models import SyncFailure
from health.report.shared import shared_reports
from tests.health.conftest import Away
from tests.health.rows import HOUR, failures

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a token of the monitoring"
STATUS_ONLY = {"status": "ok"}


@pytest.fixture(autouse=True)
def token(settings: Settings) -> None:
    settings.HEALTH_TOKEN = TOKEN


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def admin_session(**values: bool) -> Client:
    user = User.objects.create(username="helga", **values)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("wrong"),
        bearer(""),
        bearer(f"{TOKEN}x"),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
    ],
    ids=["none", "wrong", "empty", "longer", "no scheme", "other scheme"],
)
def test_anonymous_requests_get_the_status_only(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/health/sync", headers=headers)
    assert (answer.status_code, answer.json()) == (200, STATUS_ONLY)


def test_empty_token_authorizes_nothing(client: Client, settings: Settings) -> None:
    settings.HEALTH_TOKEN = ""
    assert client.get("/health/sync", headers=bearer("")).json() == STATUS_ONLY


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_health_token_authorizes_the_report(client: Client, scheme: str) -> None:
    answer = client.get("/health/sync", headers={"Authorization": f"{scheme} {TOKEN}"})
    assert answer.json().keys() >= {"status", "reasons", "failures", "keys", "webhooks", "people", "runs"}


@pytest.mark.parametrize("path", ["/health/sync", "/metrics"])
def test_any_host_header_is_accepted(client: Client, path: str) -> None:
    answer = client.get(path, headers={**bearer(TOKEN), "Host": "10.0.0.7:8000"})
    assert answer.status_code == 200


def test_staff_in_the_admin_get_the_report() -> None:
    assert "failures" in admin_session(is_staff=True).get("/health/sync").json()


@pytest.mark.parametrize(
    "values", [{"is_staff": False}, {"is_staff": True, "is_active": False}], ids=["no staff", "deactivated"]
)
def test_other_sessions_get_the_status_only(values: dict[str, bool]) -> None:
    assert admin_session(**values).get("/health/sync").json() == STATUS_ONLY


@pytest.mark.postgresql
def test_session_gets_the_status_and_token_the_report_while_the_database_is_down(away: Away) -> None:
    client = admin_session(is_staff=True)
    with away():
        assert client.get("/health/sync").json() == {"status": "degraded"}
        report = client.get("/health/sync", headers=bearer(TOKEN))
    assert report.status_code == 200
    assert report.json()["reasons"][0]["code"] == "database_unavailable"


def test_anonymous_requests_cost_no_statement_for_two_seconds(
    client: Client, django_assert_num_queries: Any
) -> None:
    client.get("/health/sync")
    with django_assert_num_queries(0):
        for _ in range(5):
            assert client.get("/health/sync").json() == STATUS_ONLY


@pytest.mark.postgresql
@pytest.mark.parametrize("headers", [{}, bearer(TOKEN)], ids=["anonymous", "monitoring"])
def test_locked_failure_delays_no_request(headers: dict[str, str]) -> None:
    long_ago = timezone.now() - HOUR
    SyncFailure.objects.record([failures(at=long_ago)], now=long_ago)

    def ask(_: int) -> Any:
        try:
            return Client().get("/health/sync", headers=headers).json()["status"]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        with transaction.atomic():
            SyncFailure.objects.select_for_update().get()
            asked_at = time.monotonic()
            answers = [pool.submit(ask, number) for number in range(8)]
            while time.monotonic() < asked_at + 4 and not all(answer.done() for answer in answers):
                time.sleep(0.05)
            answered = [answer.result() for answer in answers if answer.done()]
        assert answered == ["degraded"] * 8
    shared_reports.clear()
    assert ask(0) == "ok"


def test_status_follows_the_last_report(client: Client) -> None:
    client.get("/health/sync")
    SyncFailure.objects.record([failures("user_a", at=timezone.now())], now=timezone.now())
    client.get("/health/sync", headers=bearer(TOKEN))
    assert client.get("/health/sync").json() == {"status": "degraded"}


@pytest.mark.parametrize("path", ["/health/sync", "/metrics"])
def test_post_is_405(client: Client, path: str) -> None:
    answer = client.post(path, headers=bearer(TOKEN))
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("headers", [{}, bearer("wrong")], ids=["none", "wrong"])
def test_anonymous_requests_get_no_metrics(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/metrics", headers=headers)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"clerk_" not in answer.content


def test_staff_in_the_admin_get_the_metrics() -> None:
    answer = admin_session(is_staff=True).get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
