"""A project with users of its own that signs users of the local emulator in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

from accounts.models import ClerkAccount
from accounts.signals import sync_failed
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from devclerk.wire import user_object
from tests.accounts.receivers import received
from tests.webhooks.deliveries import SECRET, envelope, outcome_of

ME = "/shop/whoami"


class Project:
    """The project of this process: its user model, and requests to it."""

    def __init__(self, clerk: LocalClerk) -> None:
        self.clerk = clerk
        self.users = get_user_model()._default_manager
        self.has_user_names = get_user_model().USERNAME_FIELD == "username"
        self.name_column = "first_name" if self.has_user_names else "name"

    def new_user(self, email: str, **fields: Any) -> Any:
        """Save a user as the project did before it used Clerk, with a password."""
        names = {"username": f"old{self.users.count()}"} if self.has_user_names else {}
        user = get_user_model()(email=email, **names, **fields)
        user.set_password("the old password")
        user.save()
        return user

    def staff(self) -> dict[str, bool]:
        """Return the fields of a staff member."""
        return {"is_staff": True} if self.has_user_names else {"is_admin": True}

    def get(self, who: ClerkUser | str, *, token: str = "") -> Any:
        """Request the view as a user of Clerk, or with this bearer token."""
        headers = {"Authorization": f"Bearer {token or self.clerk.mint(who)}"}
        return Client(headers=headers).get(ME)

    def user_of(self, who: str) -> Any:
        """Return the user of the live account of a user of the emulator."""
        return ClerkAccount.objects.live().select_related("user").get(clerk_id=self.clerk.person(who).id).user

    def send(self, kind: str, who: ClerkUser, *, at: int | None = None, **data: Any) -> str:
        """Deliver an event of this user and return the outcome."""
        return outcome_of(envelope(kind, user_object(who) | data, at=at))


@pytest.fixture
def project(clerk: LocalClerk, clerk_settings: Settings) -> Project:
    """Configure the project to trust the emulator."""
    clerk_settings.CLERK_WEBHOOK_SIGNING_SECRET = SECRET
    return Project(clerk)


@pytest.fixture
def failures() -> Iterator[Callable[[], list[tuple[str | None, str]]]]:
    """Return the Clerk id and the reason of each failure so far."""
    with received(sync_failed) as calls:
        yield lambda: [(call["clerk_id"], call["reason"]) for call in calls]
