"""What the tests of the API share: a client that speaks as a person of the local Clerk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.factories import UserFactory

# django-stubs keeps the type of the test client's response to itself.
Answer = Any
Ask = Callable[..., Answer]


@pytest.fixture
def ask(clerk: LocalClerk, clerk_settings: Settings) -> Ask:
    """Send one request over the test client, with a real token of `by` if that is given."""

    def send(
        path: str,
        *,
        by: str | None = None,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        **options: object,
    ) -> Answer:
        bearer = {"Authorization": f"Bearer {clerk.mint(by, **options)}"} if by else {}
        # Errors are answered, as behind a server, not raised into the test.
        client = Client(raise_request_exception=False)
        return client.generic(method, path, headers=bearer | (headers or {}))

    return send


@pytest.fixture
def staff(db: None) -> User:
    """Make a member of the staff who comes from Clerk."""
    return UserFactory.create(clerk_id="user_staff", is_staff=True)


def error_of(response: Answer) -> dict[str, Any]:
    """Return the one error of an envelope, whose shape is checked on the way."""
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"type", "errors"}
    family = "server_error" if response.status_code >= 500 else "client_error"
    assert body["type"] in {family, "validation_error"}
    [error] = body["errors"]
    assert set(error) == {"code", "detail", "attr"}
    return dict(error)
