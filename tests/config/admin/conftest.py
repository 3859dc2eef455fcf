"""A superuser, a client that is signed in as that superuser, and the actions of the list of users."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import User
from tests.config.admin.pages import USERS

RunAction = Callable[..., str]


@pytest.fixture
def superuser() -> User:
    return User.objects.create_superuser("helga", password="a long password")


@pytest.fixture
def client(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def run_action(client: Client) -> RunAction:
    """Return a function that runs an action on users, confirms it and returns the text of the next page."""

    def run_action(action: str, *users: User, confirmed: bool = True) -> str:
        form = {"action": action, "_selected_action": [str(user.pk) for user in users]}
        if confirmed:
            form["confirmed"] = "yes"
        response = client.post(f"{USERS}?state=all", form, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    return run_action
