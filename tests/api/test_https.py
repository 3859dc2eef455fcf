"""With DJANGO_HTTPS, credentials over plain http are refused instead of redirected."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from tests.api.conftest import error_of

BEARER = {"Authorization": "Bearer abc"}


@pytest.fixture(autouse=True)
def https(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/nothing", "/webhooks/clerk", "/admin/", "/nothing"])
@pytest.mark.parametrize("value", ["Bearer abc", "Basic abc", ""])
def test_credentials_over_plain_http_are_403(client: Client, path: str, value: str) -> None:
    response = client.get(path, headers={"Authorization": value})

    assert response.status_code == 403
    assert response.json()["type"] == "client_error"
    assert error_of(response)["code"] == "https_required"
    assert "X-Request-ID" in response.headers
    assert "Location" not in response.headers


def test_refusal_in_the_api_is_not_cached(client: Client) -> None:
    assert client.post("/api/v1/me", headers=BEARER).headers["Cache-Control"] == "no-store"


def test_requests_without_credentials_are_redirected(client: Client) -> None:
    response = client.get("/api/v1/me")

    assert (response.status_code, response.headers["Location"]) == (301, "https://testserver/api/v1/me")


def test_https_of_the_proxy_reaches_the_view(client: Client) -> None:
    response = client.get("/api/v1/me", headers=BEARER | {"X-Forwarded-Proto": "https"})

    assert (response.status_code, error_of(response)["code"]) == (401, "token_malformed")


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", [{}, {"Cookie": "sessionid=abcdefghijk"}], ids=["no session", "session"])
@pytest.mark.parametrize("path", ["/health/live", "/health/sync", "/metrics"])
def test_health_and_metrics_accept_plain_http(
    client: Client, settings: Settings, path: str, cookie: dict[str, str]
) -> None:
    settings.HEALTH_TOKEN = "monitoring"

    response = client.get(path, headers={"Authorization": "Bearer monitoring"} | cookie)

    assert response.status_code == 200


def test_without_https_credentials_reach_the_view(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = False

    assert client.get("/api/v1/me", headers=BEARER).status_code == 401
