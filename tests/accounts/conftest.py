"""What the tests of the accounts room share."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.accounts.wire import Wire
from tests.factories import UserFactory


@pytest.fixture
def wire(clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer) -> Wire:
    """Put a wire that can be tampered with between the project and the Backend API of the stand-in."""
    clerk_settings.CLERK_API_URL = httpserver.url_for("")
    return Wire(clerk, httpserver)


@pytest.fixture
def crowd() -> None:
    """Fill the table, so that an index is worth its while, with people deleted here among the others."""
    from accounts.models import User

    now = timezone.now()
    people = UserFactory.build_batch(3_000)
    people += [UserFactory.build(deleted_at=now, deleted_by="local") for _ in range(3_000)]
    User.objects.bulk_create(people)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_user")
