"""Fixtures of the tests of the bulk commands."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser


@pytest.fixture
def users(clerk: LocalClerk, clerk_settings: Settings) -> list[ClerkUser]:
    """Create 40 users in Clerk and their rows, and return the 31 users that are not seeded."""
    clerk.make_up(31)
    call_command("backfill_users", stdout=StringIO())
    return [clerk.person(f"person{number}") for number in range(31)]
