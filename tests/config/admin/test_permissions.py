"""Permissions for the admin: sign-in, pages and actions."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.config.admin.pages import EVENTS, FAILURES, RUNS, USERS, change_page, get_page, sign_in_staff
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESSES = (USERS, f"{USERS}add/", EVENTS, FAILURES, f"{FAILURES}today/", RUNS)


def test_staff_with_view_permission_see_no_action() -> None:
    UserFactory.create(first_name="Ada")
    text = get_page(sign_in_staff("view_user"))
    assert "Ada" in text
    assert 'name="action"' not in text


def test_staff_without_permission_see_no_user() -> None:
    ada = UserFactory.create(first_name="Ada")
    client = sign_in_staff()
    assert client.get(USERS).status_code == 403
    assert client.get(change_page(ada)).status_code == 403


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (("view_user", "change_user"), {"sync_again", "deactivate", "activate"}),
        (("view_user", "delete_user"), {"delete_here", "restore"}),
    ],
)
def test_each_permission_offers_its_own_actions(permissions: tuple[str, ...], offered: set[str]) -> None:
    UserFactory.create()
    text = get_page(sign_in_staff(*permissions))
    actions = {"sync_again", "deactivate", "activate", "delete_here", "restore"}
    assert {action for action in actions if f'value="{action}"' in text} == offered


def test_an_action_without_its_permission_changes_nothing() -> None:
    ada = UserFactory.create()
    form = {"action": "deactivate", "_selected_action": [str(ada.pk)], "confirmed": "yes"}
    sign_in_staff("view_user").post(USERS, form)
    ada.refresh_from_db()
    assert ada.is_active


def test_no_page_holds_a_secret(client: Client, clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.HEALTH_TOKEN = "a health token that must stay secret"
    ada = UserFactory.create(clerk_id=clerk.person("ada").id)
    secrets = (clerk.secret_key, clerk.webhook_secret, clerk_settings.HEALTH_TOKEN, settings.SECRET_KEY)
    for address in (*ADDRESSES, change_page(ada), f"{USERS}{ada.pk}/history/"):
        text = get_page(client, address)
        assert not any(secret in text for secret in secrets), address


@pytest.mark.parametrize("address", ADDRESSES)
def test_each_page_needs_its_permission(address: str) -> None:
    assert sign_in_staff().get(address).status_code == 403


def test_a_clerk_user_is_redirected_to_the_login(clerk: LocalClerk, clerk_settings: Settings) -> None:
    headers: dict[str, Any] = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    response = Client(headers=headers).get(USERS)
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")


@pytest.mark.parametrize(
    "values", [{"is_active": False}, {"banned": True}, {"deleted_at": timezone.now(), "deleted_by": "local"}]
)
def test_inactive_banned_and_deleted_staff_cannot_sign_in(values: dict[str, Any]) -> None:
    olaf = User.objects.create_user("olaf", password="a long password", is_staff=True)
    login = {"username": "olaf", "password": "a long password"}
    signed_in, signed_out = Client(), Client()
    assert signed_in.login(**login)
    User.objects.filter(pk=olaf.pk).update(**values)
    assert signed_in.get("/admin/").status_code == 302
    assert not signed_out.login(**login)


def test_a_superuser_of_createsuperuser_can_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long password")
    call_command(
        "createsuperuser", username="root", email="root@example.test", interactive=False, verbosity=0
    )
    client = Client()
    assert client.login(username="root", password="a long password")
    assert "root" in get_page(client, staff="yes")
