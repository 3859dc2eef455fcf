"""Browsers: who may ask from another origin."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from tests.api.conftest import Answer, Ask

pytestmark = pytest.mark.django_db

OURS = "https://app.example.test"
FOREIGN = "https://evil.example.test"


@pytest.fixture(autouse=True)
def one_frontend(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [OURS]


def preflight(client: Client, *, origin: str) -> Answer:
    """Ask as a browser does before it sends a bearer token to another origin."""
    return client.options(
        "/api/v1/me",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )


def test_our_frontend_may_send_a_bearer_token(client: Client) -> None:
    response = preflight(client, origin=OURS)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == OURS
    assert "authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "GET" in response.headers["Access-Control-Allow-Methods"]


def test_no_cookie_may_be_sent(client: Client) -> None:
    assert "Access-Control-Allow-Credentials" not in preflight(client, origin=OURS).headers


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://app.example.test", f"{OURS}.evil.test"])
def test_a_foreign_origin_is_allowed_nothing(client: Client, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(client, origin=origin).headers


def test_an_answer_is_readable_for_our_frontend_with_the_headers_it_needs(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", headers={"Origin": OURS})

    assert response.headers["Access-Control-Allow-Origin"] == OURS
    exposed = {name.strip() for name in response.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == {"Retry-After", "X-Request-ID", "WWW-Authenticate"}
    assert "origin" in response.headers["Vary"].lower()


@pytest.mark.parametrize("address", ["/api/v1/me", "/api/v1/nothing"])
def test_errors_are_readable_too(client: Client, address: str) -> None:
    response = client.get(address, headers={"Origin": OURS})

    assert response.status_code in {401, 404}
    assert response.headers["Access-Control-Allow-Origin"] == OURS


def test_an_answer_is_not_readable_for_a_foreign_origin(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", headers={"Origin": FOREIGN})

    assert "Access-Control-Allow-Origin" not in response.headers
