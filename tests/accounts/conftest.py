"""Fixtures of the tests of `accounts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.accounts.receivers import received
from tests.accounts.wire import Wire
from tests.factories import UserFactory


@pytest.fixture
def wire(clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer) -> Wire:
    """Put a proxy, whose answers a test may change, before the Backend API of the local emulator."""
    clerk_settings.CLERK_API_URL = httpserver.url_for("")
    return Wire(clerk, httpserver)


@pytest.fixture
def me(clerk: LocalClerk) -> Callable[..., Any]:
    """Request `/api/v1/me` with `token`, or with a new token of a user."""

    def send(user: Any = "ada", *, token: str | None = None, **options: Any) -> Any:
        bearer = token or clerk.mint(user, **options)
        return Client(headers={"Authorization": f"Bearer {bearer}"}).get("/api/v1/me")

    return send


@pytest.fixture
def failures() -> Iterator[list[dict[str, Any]]]:
    """Collect the arguments of each `sync_failed`."""
    from accounts.signals import sync_failed

    with received(sync_failed) as calls:
        yield calls


@pytest.fixture
def decisions() -> Iterator[list[dict[str, Any]]]:
    """Collect the arguments of each `authentication_decided`."""
    from accounts.signals import authentication_decided

    with received(authentication_decided) as calls:
        yield calls


@pytest.fixture
def crowd() -> None:
    """Fill the table with live and locally deleted users, so that PostgreSQL prefers an index."""
    from accounts.models import User

    now = timezone.now()
    users = UserFactory.build_batch(3_000)
    users += [UserFactory.build(deleted_at=now, deleted_by="local") for _ in range(3_000)]
    User.objects.bulk_create(users)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_user")
