"""The error envelope: status, code, headers, and no text of exceptions."""

from __future__ import annotations

import pytest
from django.test import Client, override_settings
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from tests.api.conftest import Ask, error_of
from tests.api.probes import CANARY

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.probes")]


@pytest.fixture(params=[False, True], ids=["production", "debug"])
def debug(request: pytest.FixtureRequest, settings: Settings) -> None:
    settings.DEBUG = request.param


# Authentication


def test_challenge_without_credentials_has_no_error(ask: Ask) -> None:
    response = ask("/api/v1/me")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (CANARY, "has no scheme"),
        (f" {CANARY} ", "has no scheme"),
        (f"Token {CANARY}", "is not Bearer"),
        (f"Basic {CANARY}", "is not Bearer"),
        (f"JWT {CANARY} b", "is not Bearer"),
        (f"Bearer: {CANARY}", "is not Bearer"),
        (f'"Bearer {CANARY}"', "is not Bearer"),
    ],
)
def test_detail_names_the_fault_of_the_header_and_repeats_nothing(ask: Ask, header: str, words: str) -> None:
    response = ask("/api/v1/me", headers={"Authorization": header})

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    error = error_of(response)
    assert error["code"] == "not_authenticated"
    assert words in error["detail"]
    assert "Authorization: Bearer <token>" in error["detail"]
    assert CANARY not in response.content.decode()


@pytest.mark.parametrize("header", ["", "  "])
def test_detail_without_a_header_names_no_fault(ask: Ask, header: str) -> None:
    error = error_of(ask("/api/v1/me", headers={"Authorization": header}))

    assert (error["code"], "Authorization" in error["detail"]) == ("not_authenticated", False)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("rubbish", "token_malformed"),
        ("mt_0123456789", "token_type_mismatch"),
        ("e30.e30.e30", "token_invalid_algorithm"),
    ],
)
def test_challenge_for_an_invalid_token_has_an_error(ask: Ask, token: str, code: str) -> None:
    response = ask("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert error_of(response)["code"] == code


def test_expired_token_has_its_own_code(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", fault="expired")

    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert error_of(response)["code"] == "token_expired"


def test_permission_denied_has_no_challenge(ask: Ask) -> None:
    response = ask("/api/v1/users", by="user_ada")

    assert response.status_code == 403
    assert "WWW-Authenticate" not in response.headers


def test_unavailable_keys_are_503_with_retry_after(ask: Ask, clerk: LocalClerk) -> None:
    clerk.keys_down()

    response = ask("/api/v1/me", by="user_ada")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert "WWW-Authenticate" not in response.headers
    assert error_of(response)["code"] == "keys_unavailable"


# Paths and methods


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1", "/api/v1/nothing", "/api/v1/users/", "/api/%00", "/webhooks/x"]
)
def test_unknown_path_is_404_in_json(client: Client, path: str, method: str) -> None:
    response = client.generic(method, path)

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


def test_unknown_path_outside_the_api_is_404_in_html(client: Client) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


def test_head_of_an_unknown_path_has_no_body(client: Client) -> None:
    response = client.head("/api/v1/nothing")

    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize(
    ("path", "accept"),
    [("/api/schema", "application/yaml"), ("/api/docs", "text/html"), ("/api/docs", "*/*")],
)
def test_wrong_method_is_json_in_views_of_other_formats(
    client: Client, settings: Settings, path: str, accept: str
) -> None:
    settings.DEBUG = True

    response = client.post(path, headers={"Accept": accept})

    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/docs", "/api/nothing", "/webhooks/clerk"])
def test_unknown_host_is_400_in_json_and_logged(
    client: Client, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get(path, headers={"Host": "evil.example"})

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"
    assert b"evil" not in response.content
    assert "django.security.DisallowedHost" in {record.name for record in caplog.records}


# Bodies


@pytest.mark.parametrize("accept", ["text/html", "text/csv", "application/json; version=9", "nonsense", ""])
def test_unsupported_accept_header_gets_json(ask: Ask, accept: str) -> None:
    anonymous = ask("/api/v1/me", headers={"Accept": accept})
    response = ask("/api/v1/me", by="user_ada", headers={"Accept": accept})

    assert anonymous.status_code == 401
    assert error_of(anonymous)["code"] == "not_authenticated"
    assert response.status_code == 200
    assert response.json()["clerk_id"] == "user_ada"


def test_unsupported_media_type_is_415(client: Client) -> None:
    response = client.post("/api/probe/echo", data="<x/>", content_type="application/xml")

    assert response.status_code == 415
    assert error_of(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[1,", b"NaN", b'{"a": Infinity}'])
def test_malformed_body_is_400(client: Client, body: bytes) -> None:
    response = client.generic("POST", "/api/probe/echo", body or b" ", content_type="application/json")

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"


@pytest.mark.usefixtures("staff")
@override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=5)
def test_too_many_query_parameters_are_400(ask: Ask) -> None:
    response = ask("/api/v1/users?" + "a=1&" * 9, by="user_staff")

    assert response.status_code == 400
    assert error_of(response)["code"] == "parse_error"


def test_invalid_input_has_an_error_for_each_field(client: Client) -> None:
    body = client.get("/api/probe/raise/invalid").json()

    assert body["type"] == "validation_error"
    assert [error["attr"] for error in body["errors"]] == ["name", "tags"]


# Exceptions


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
def test_exception_has_its_status_and_code_but_no_text(
    client: Client, kind: str, status: int, code: str
) -> None:
    response = client.get(f"/api/probe/raise/{kind}")

    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert CANARY.encode() not in response.content


@pytest.mark.parametrize(("kind", "seconds"), [("operational", None), ("interface", None), ("throttled", 7)])
def test_temporary_error_has_retry_after(client: Client, kind: str, seconds: int | None) -> None:
    retry_after = int(client.get(f"/api/probe/raise/{kind}").headers["Retry-After"])

    assert retry_after == seconds if seconds else retry_after >= 1


@pytest.mark.parametrize("path", ["/api/probe/plain", "/webhooks/probe"])
def test_exception_in_a_plain_view_is_500_in_json(client: Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 500
    assert error_of(response)["code"] == "error"
    assert CANARY.encode() not in response.content


def test_exception_outside_the_api_is_500_in_html(client: Client) -> None:
    response = client.get("/elsewhere")

    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/html")
