"""Fixtures of the API tests: a client with tokens of the local Clerk emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.factories import UserFactory

# django-stubs does not export the type of the test client's response.
Response = Any
Ask = Callable[..., Response]
# The schema of a clone has those of its own apps too.
PATHS = ["/api/v1/me", "/api/v1/session", "/api/v1/users", "/api/v1/users/{id}"]


@pytest.fixture
def client() -> Client:
    """Return a client for which, as behind a server, an exception becomes a response."""
    return Client(raise_request_exception=False)


@pytest.fixture
def ask(client: Client, clerk: LocalClerk, clerk_settings: Settings) -> Ask:
    """Return a function that sends a request, with a signed token of the user `by` if given."""

    def send(
        path: str,
        *,
        by: str | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **options: object,
    ) -> Response:
        bearer = {"Authorization": f"Bearer {clerk.mint(by, **options)}"} if by else {}
        return client.generic(method, path, headers=bearer | (headers or {}))

    return send


@pytest.fixture
def staff(db: None) -> User:
    """Return a member of the staff with a Clerk id."""
    return UserFactory.create(clerk_id="user_staff", is_staff=True)


def error_of(response: Response) -> dict[str, Any]:
    """Return the only error of the response, after a check of the envelope."""
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"type", "errors"}
    error_type = "server_error" if response.status_code >= 500 else "client_error"
    assert body["type"] in {error_type, "validation_error"}
    [error] = body["errors"]
    assert set(error) == {"code", "detail", "attr"}
    return dict(error)
