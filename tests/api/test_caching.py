"""Responses of the API, the webhooks and the health endpoints must not be cached."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.test.client import RequestFactory
from pytest_django import Settings

from health.views import live
from tests.api.conftest import Ask, Response
from webhooks.views import clerk_webhook

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.probes")]
BROWSER = {"Origin": "https://app.example.test", "Access-Control-Request-Method": "GET"}


def expect_no_store(response: Response) -> set[str]:
    """Check both headers and return the lower-case names in `Vary`."""
    assert response.headers["Cache-Control"] == "no-store"
    vary = [name.strip().lower() for name in response.headers["Vary"].split(",")]
    assert vary.count("authorization") == 1
    return set(vary)


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/session", "/api/v1/users", "/api/v1/nothing"])
@pytest.mark.usefixtures("staff")
def test_response_to_a_token_is_not_cached(ask: Ask, path: str) -> None:
    expect_no_store(ask(path, by="user_staff"))


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/", "/api/v1/me", "/api/v1/users", "/api/v1/nothing", "/api/schema", "/api/docs"),
        *("/webhooks", "/webhooks/clerk", "/webhooks/clerk/", "/webhooks/x"),
        *("/health", "/health/live", "/health/ready", "/health/sync", "/health/x"),
        *("/metrics", "/metrics/", "/metrics/x", "/%61pi/v1/me"),
    ],
)
def test_response_without_a_token_is_not_cached(
    client: Client, settings: Settings, path: str, method: str, *, debug: bool
) -> None:
    settings.DEBUG = debug
    expect_no_store(client.generic(method, path))


@pytest.mark.parametrize("path", ["//api/v1/me", "///metrics"])
def test_more_slashes_lead_to_nothing_that_is_stored(client: Client, path: str) -> None:
    response = client.get("/", PATH_INFO=path)
    assert response.status_code == 404
    expect_no_store(response)


@pytest.mark.parametrize("kind", ["bug", "operational", "suspicious", "django404", "throttled", "invalid"])
def test_error_of_an_api_view_is_not_cached(client: Client, kind: str) -> None:
    expect_no_store(client.get(f"/api/probe/raise/{kind}"))


@pytest.mark.parametrize("path", ["/api/probe/plain", "/webhooks/probe"])
def test_error_of_a_plain_view_is_not_cached(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 500
    expect_no_store(response)


@pytest.mark.parametrize("debug", [False, True], ids=["production", "debug"])
@pytest.mark.parametrize("path", ["/api/v1/me", "/webhooks/clerk", "/health", "/metrics/"])
def test_unknown_host_is_not_cached(client: Client, settings: Settings, path: str, *, debug: bool) -> None:
    settings.DEBUG = debug
    response = client.get(path, headers={"Host": "evil.example"})
    assert response.status_code == 400
    expect_no_store(response)


def test_redirect_to_https_is_not_cached(client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response = client.get("/api/v1/me")
    assert response.status_code == 301
    expect_no_store(response)


def test_redirect_to_the_login_is_not_cached(client: Client) -> None:
    response = client.get("/api/docs")
    assert response.status_code == 302
    expect_no_store(response)


def test_preflight_is_not_cached_and_varies_by_origin(client: Client, settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [BROWSER["Origin"]]
    response = client.options("/api/v1/me", headers=BROWSER)
    assert response.headers["Access-Control-Allow-Origin"] == BROWSER["Origin"]
    assert "origin" in expect_no_store(response)


def test_response_that_read_the_session_varies_by_cookie(admin_client: Client) -> None:
    assert "cookie" in expect_no_store(admin_client.get("/api/schema"))
    assert "cookie" in expect_no_store(admin_client.get("/metrics"))


@pytest.mark.parametrize("path", ["/elsewhere", "/apiary", "/healthy", "/metricsx", "/x/api/v1/me"])
def test_other_paths_are_unchanged(client: Client, path: str) -> None:
    assert "Cache-Control" not in client.get(path).headers


def test_middleware_is_first() -> None:
    assert django_settings.MIDDLEWARE[0] == "config.caching.NoStoreMiddleware"


@pytest.mark.parametrize("view", [live, clerk_webhook])
def test_webhook_and_health_views_need_no_middleware(view: object) -> None:
    assert callable(view)
    expect_no_store(view(RequestFactory().get("/")))
    expect_no_store(view(RequestFactory().delete("/")))
