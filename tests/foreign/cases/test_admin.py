from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import ClerkAccount
from tests.foreign.cases.conftest import Project

pytestmark = pytest.mark.django_db(transaction=True)
ACCOUNTS = "/admin/accounts/clerkaccount/"


@pytest.fixture
def admin(project: Project) -> Client:
    """Sign in as an administrator of the project."""
    rights = {"is_superuser": True} if project.has_user_names else {}
    client = Client()
    client.force_login(project.new_user("helga@example.test", **project.staff(), **rights))
    return client


def run(client: Client, action: str, account: ClerkAccount) -> str:
    """Run an action, confirm it and return the text of the next page."""
    form = {"action": action, "_selected_action": [account.pk], "confirmed": "yes"}
    response = client.post(f"{ACCOUNTS}?state=all", form, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_list_and_page_show_the_account_and_link_to_the_user(project: Project, admin: Client) -> None:
    project.get("ada")
    account = ClerkAccount.objects.get()
    page = f"{ACCOUNTS}{account.pk}/change/"
    for address in (ACCOUNTS, f"{ACCOUNTS}?q=lovelace", f"{ACCOUNTS}?q={account.clerk_id}", page):
        assert "ada@example.test" in admin.get(address).content.decode(), address
    ClerkAccount.objects.update(first_name="\u202eadA", extra={"locale": "en-GB"})
    text = admin.get(page).content.decode()
    assert "<div>locale: <bdi>en-GB</bdi></div>" in text
    assert "\ufffdadA" in text
    assert "\u202e" not in text
    is_registered = project.has_user_names
    link = f"/admin/auth/user/{account.user_id}/change/"
    assert (link in admin.get(page).content.decode()) is is_registered
    assert "Show the events of this user" in admin.get(page).content.decode()


def test_deactivation_in_the_form_is_403_and_leaves_the_user_alone(project: Project, admin: Client) -> None:
    project.get("ada")
    account = ClerkAccount.objects.get()
    assert admin.post(f"{ACCOUNTS}{account.pk}/change/", {}).status_code == 302
    account.refresh_from_db()
    assert not account.is_active
    assert account.first_name == "Ada"
    assert project.get("ada").status_code == 403
    assert project.user_of("ada").is_active


def test_actions(project: Project, admin: Client) -> None:
    project.get("ada")
    account = ClerkAccount.objects.get()
    project.clerk.update("ada", first_name="Augusta")
    assert "updated" in run(admin, "sync_again", account)
    assert getattr(project.user_of("ada"), project.name_column) == "Augusta"
    run(admin, "deactivate", account)
    assert project.get("ada").status_code == 403
    run(admin, "activate", account)
    assert project.get("ada").status_code == 200
    assert "Deleted" in run(admin, "delete_here", account)
    assert "Restored" in run(admin, "restore", account)
    assert project.get("ada").status_code == 200
    assert ClerkAccount.objects.get().user_id == account.user_id


def test_accounts_are_neither_added_nor_deleted(project: Project, admin: Client) -> None:
    project.get("ada")
    account = ClerkAccount.objects.get()
    assert admin.get(f"{ACCOUNTS}add/").status_code == 403
    assert admin.post(f"{ACCOUNTS}{account.pk}/delete/", {"post": "yes"}).status_code == 403


def test_permissions_are_those_of_the_account(project: Project) -> None:
    if not project.has_user_names:
        pytest.skip("the members have no permissions of Django")
    project.get("ada")
    account = ClerkAccount.objects.get()
    user: Any = project.new_user("olaf@example.test", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_clerkaccount"))
    client = Client()
    client.force_login(get_user_model()._default_manager.get(pk=user.pk))
    assert client.get(ACCOUNTS).status_code == 200
    run(client, "delete_here", account)
    assert ClerkAccount.objects.live().count() == 1
    assert client.get("/admin/auth/user/").status_code == 403


def test_actions_have_permissions_of_their_own_and_spare_users_with_more_rights(project: Project) -> None:
    if not project.has_user_names:
        pytest.skip("the members have no permissions of Django")
    for who in ("ada", "grace"):
        project.get(who)
    olaf: Any = project.new_user("olaf@example.test", is_staff=True)
    codenames = ("view_clerkaccount", "deactivate_clerkaccount")
    olaf.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    project.users.filter(pk=project.user_of("grace").pk).update(is_superuser=True)
    client = Client()
    client.force_login(get_user_model()._default_manager.get(pk=olaf.pk))
    ada, grace = (ClerkAccount.objects.get(user=project.user_of(who)) for who in ("ada", "grace"))
    assert "Deactivated" in run(client, "deactivate", ada)
    assert "rights that you do not have" in run(client, "deactivate", grace)
    run(client, "delete_here", ada)
    states = ClerkAccount.objects.order_by("pk").values_list("is_active", "deleted_at")
    assert list(states) == [(False, None), (True, None)]
