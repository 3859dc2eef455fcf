"""CORS: which origins may use the API."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from tests.api.conftest import Ask, Response

pytestmark = pytest.mark.django_db

ALLOWED = "https://app.example.test"
OTHER = "https://evil.example.test"


@pytest.fixture(autouse=True)
def allowed_origin(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED]


def preflight(client: Client, *, origin: str, header: str = "authorization") -> Response:
    """Send the preflight of a browser for a request with a bearer token."""
    return client.options(
        "/api/v1/me",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": header,
        },
    )


def test_allowed_origin_may_send_a_bearer_token(client: Client) -> None:
    response = preflight(client, origin=ALLOWED)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert "authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "GET" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("header", ["sentry-trace", "baggage", "traceparent", "tracestate", "x-request-id"])
def test_headers_of_tracing_may_be_sent(client: Client, header: str) -> None:
    response = preflight(client, origin=ALLOWED, header=header)

    assert header in response.headers["Access-Control-Allow-Headers"].split(", ")


@pytest.mark.parametrize(
    "origin", ["chrome-extension://abcdefghijklmnopabcdefghijklmnop", "capacitor://localhost"]
)
def test_extension_or_app_may_use_the_api(ask: Ask, client: Client, settings: Settings, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [origin]
    settings.CLERK_AUTHORIZED_PARTIES = (origin,)
    assert preflight(client, origin=origin).headers["Access-Control-Allow-Origin"] == origin
    response = ask("/api/v1/me", by="user_ada", headers={"Origin": origin}, azp=origin)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == origin


def test_cookies_are_not_allowed(client: Client) -> None:
    assert "Access-Control-Allow-Credentials" not in preflight(client, origin=ALLOWED).headers


@pytest.mark.parametrize("origin", [OTHER, "null", "http://app.example.test", f"{ALLOWED}.evil.test"])
def test_other_origin_is_not_allowed(client: Client, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(client, origin=origin).headers


def test_allowed_origin_can_read_the_response_and_its_headers(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", headers={"Origin": ALLOWED})

    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    exposed = {name.strip() for name in response.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == {"Retry-After", "X-Request-ID", "WWW-Authenticate"}
    assert "origin" in response.headers["Vary"].lower()


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/nothing"])
def test_allowed_origin_can_read_errors(client: Client, path: str) -> None:
    response = client.get(path, headers={"Origin": ALLOWED})

    assert response.status_code in {401, 404}
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED


def test_other_origin_cannot_read_the_response(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", headers={"Origin": OTHER})

    assert "Access-Control-Allow-Origin" not in response.headers
