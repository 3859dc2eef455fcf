"""The envelope, its codes and headers, and what stays unsaid."""

from __future__ import annotations

import logging

import pytest
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.test import Client, override_settings
from pytest_django import Settings

from api.middleware import RequestIDFilter
from config.logging import ConstantMessageFilter, JSONLineFormatter, logging_config
from devclerk.fixtures import LocalClerk
from tests.api.conftest import Ask, error_of
from tests.api.probes import CANARY

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.probes")]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(params=[False, True], ids=["production", "debug"])
def debug(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.DEBUG = request.param


# Who are you?


def test_without_credentials_the_challenge_is_bare(ask: Ask) -> None:
    response = ask("/api/v1/me")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("rubbish", "token_malformed"),
        ("mt_0123456789", "token_type_mismatch"),
        ("e30.e30.e30", "token_invalid_algorithm"),
    ],
)
def test_a_refused_token_is_named_in_the_challenge(ask: Ask, token: str, code: str) -> None:
    response = ask("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert error_of(response)["code"] == code


def test_an_expired_token_is_told_apart(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", fault="expired")

    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert error_of(response)["code"] == "token_expired"


def test_a_refusal_of_the_person_carries_no_challenge(ask: Ask) -> None:
    response = ask("/api/v1/users", by="user_ada")

    assert response.status_code == 403
    assert "WWW-Authenticate" not in response.headers


def test_keys_that_cannot_be_had_are_503_and_say_when_to_come_back(ask: Ask, clerk: LocalClerk) -> None:
    clerk.keys_down()

    response = ask("/api/v1/me", by="user_ada")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert "WWW-Authenticate" not in response.headers
    assert error_of(response)["code"] == "keys_unavailable"


# Addresses and methods


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "address", ["/api/", "/api/v1", "/api/v1/nothing", "/api/v1/users/", "/api/%00", "/webhooks/x"]
)
def test_an_unrouted_address_is_404_in_json(client: Client, address: str, method: str) -> None:
    response = client.generic(method, address)

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


def test_elsewhere_the_ordinary_page_is_shown(client: Client) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_head_of_an_unrouted_address_has_no_body(client: Client) -> None:
    response = client.head("/api/v1/nothing")

    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize(
    ("address", "accept"),
    [("/api/schema", "application/yaml"), ("/api/docs", "text/html"), ("/api/docs", "*/*")],
)
def test_a_wrong_method_is_told_in_json_where_the_view_speaks_another_format(
    client: Client, settings: Settings, address: str, accept: str
) -> None:
    settings.DEBUG = True

    response = client.post(address, headers={"Accept": accept})

    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("address", ["/api/v1/me", "/api/docs", "/api/nothing", "/webhooks/clerk"])
def test_a_foreign_host_is_told_in_json_and_told_to_the_log(
    client: Client, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get(address, headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"
    assert b"evil" not in response.content
    assert "django.security.DisallowedHost" in {record.name for record in caplog.records}


def test_a_foreign_host_elsewhere_is_explained_to_a_developer(client: Client, settings: Settings) -> None:
    settings.DEBUG = True

    response = client.get("/admin/login/", headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert b"ALLOWED_HOSTS" in response.content


# Bodies


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "application/json; version=9", "nonsense", ""])
def test_whoever_asks_for_another_format_gets_json(ask: Ask, accept: str) -> None:
    stranger = ask("/api/v1/me", headers={"Accept": accept})
    response = ask("/api/v1/me", by="user_ada", headers={"Accept": accept})

    assert stranger.status_code == 401
    assert error_of(stranger)["code"] == "not_authenticated"
    assert response.status_code == 200
    assert response.json()["clerk_id"] == "user_ada"


def test_a_body_of_a_foreign_type_is_415(client: Client) -> None:
    response = client.post("/api/probe/echo", data="<x/>", content_type="application/xml")

    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[1,", b"NaN", b'{"a": Infinity}'])
def test_a_malformed_body_is_400(client: Client, body: bytes) -> None:
    response = client.generic("POST", "/api/probe/echo", body or b" ", content_type="application/json")

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"


@pytest.mark.usefixtures("staff")
@override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=5)
def test_too_many_query_parameters_are_400(ask: Ask) -> None:
    response = ask("/api/v1/users?" + "a=1&" * 9, by="user_staff")

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"


def test_invalid_input_names_each_field(client: Client) -> None:
    body = client.get("/api/probe/raise/invalid").json()

    assert body["type"] == "validation_error"
    assert [error["attr"] for error in body["errors"]] == ["name", "tags"]


# What goes wrong inside


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bug", 500, "error"),
        ("integrity", 500, "error"),
        ("data", 500, "error"),
        ("operational", 503, "sync_unavailable"),
        ("interface", 503, "sync_unavailable"),
        ("suspicious", 400, "parse_error"),
        ("django404", 404, "not_found"),
        ("django403", 403, "permission_denied"),
        ("throttled", 429, "throttled"),
    ],
)
def test_each_failure_has_its_status_and_code_and_tells_nothing_else(
    client: Client, kind: str, status: int, code: str
) -> None:
    response = client.get(f"/api/probe/raise/{kind}")

    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert CANARY.encode() not in response.content


@pytest.mark.parametrize(("kind", "seconds"), [("operational", None), ("interface", None), ("throttled", 7)])
def test_what_passes_says_when_to_come_back(client: Client, kind: str, seconds: int | None) -> None:
    retry_after = int(client.get(f"/api/probe/raise/{kind}").headers["Retry-After"])

    assert retry_after == seconds if seconds else retry_after >= 1


@pytest.mark.parametrize("address", ["/api/probe/plain", "/webhooks/probe"])
def test_a_bug_in_a_plain_view_is_500_in_json(client: Client, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 500
    assert error_of(response)["code"] == "error"
    assert CANARY.encode() not in response.content


def test_a_bug_elsewhere_shows_the_ordinary_page(client: Client) -> None:
    response = client.get("/elsewhere")

    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Collect the lines as they are written outside debug."""
    parts = logging_config(debug=False)
    caplog.handler.setFormatter(JSONLineFormatter(parts["formatters"]["json"]["fmt"]))
    for line_filter in (ConstantMessageFilter(), RequestIDFilter()):
        caplog.handler.addFilter(line_filter)
    caplog.set_level(logging.INFO)
    return caplog


def written(log: pytest.LogCaptureFixture) -> str:
    return "\n".join(log.handler.format(record) for record in log.records)


@pytest.mark.parametrize("kind", ["bug", "integrity", "operational", "suspicious", "django404"])
def test_no_log_line_repeats_the_text_of_an_exception_or_the_query(
    client: Client, log: pytest.LogCaptureFixture, kind: str
) -> None:
    client.get(f"/api/probe/raise/{kind}?q={CANARY}")

    assert kind not in {"bug", "integrity", "operational"} or "api/probes.py" in written(log)
    assert CANARY not in written(log)


@pytest.mark.parametrize(
    ("kind", "level", "error"),
    [("bug", "ERROR", "RuntimeError"), ("operational", "WARNING", "OperationalError")],
)
def test_what_goes_wrong_inside_is_logged_once_by_class_and_place(
    client: Client, log: pytest.LogCaptureFixture, kind: str, level: str, error: str
) -> None:
    client.get(f"/api/probe/raise/{kind}")

    [record] = [record for record in log.records if record.levelno >= logging.WARNING]
    assert record.levelname == level
    assert error in log.handler.format(record)
    assert "tests/api/probes.py" in log.handler.format(record)


def test_an_error_tracker_hears_of_a_bug_and_not_of_an_outage(client: Client) -> None:
    heard: list[HttpRequest | None] = []

    def listen(request: HttpRequest | None = None, **_: object) -> None:
        heard.append(request)

    got_request_exception.connect(listen)
    try:
        client.get("/api/probe/raise/operational")
        assert heard == []
        client.get("/api/probe/raise/bug")
        assert len(heard) == 1
    finally:
        got_request_exception.disconnect(listen)
