"""Staff with permissions for users gain no rights by them, neither for themselves nor over other staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.config.admin.conftest import RunAction
from tests.config.admin.pages import EVENTS, USERS, change_page, get_page, sign_in_staff
from tests.factories import UserFactory
from tests.health.rows import event

pytestmark = pytest.mark.django_db(transaction=True)
GROUPS = "/admin/auth/group/"
PASSWORD = "a long password"
NEW_PASSWORD = "q9!xkWm2vL-long"
PASSWORD_FORM = {
    "usable_password": "true",
    "password1": NEW_PASSWORD,
    "password2": NEW_PASSWORD,
    "set-password": "yes",
}
RIGHTS = {"is_active": "on", "is_staff": "on", "is_superuser": "on"}
ALL_ON_USERS = ("view_user", "add_user", "change_user", "delete_user")


@pytest.fixture
def staff() -> Client:
    """Sign in as olaf, who has every permission of Django for users."""
    return sign_in_staff(*ALL_ON_USERS)


def rights_of(user: User) -> tuple[Any, ...]:
    """Return what decides what a user may do, and whether the user may sign in."""
    fresh = User.objects.get(pk=user.pk)
    flags = (fresh.is_superuser, fresh.is_staff, fresh.is_active, fresh.deleted_at, fresh.password)
    return (*flags, set(fresh.groups.all()), set(fresh.user_permissions.all()))


def test_staff_cannot_give_themselves_rights(staff: Client) -> None:
    olaf, group = User.objects.get(username="olaf"), Group.objects.create(name="all")
    before = rights_of(olaf)
    permission = Permission.objects.get(codename="add_group")
    form = RIGHTS | {"username": "olaf", "groups": [group.pk], "user_permissions": [permission.pk]}
    assert staff.post(change_page(olaf), form).status_code == 302
    assert rights_of(olaf) == before


@pytest.mark.parametrize("clerk_id", ["user_ada", None])
def test_staff_cannot_give_rights_to_others(staff: Client, clerk_id: str | None) -> None:
    ada = UserFactory.create(clerk_id=clerk_id, username="ada")
    before = rights_of(ada)
    assert staff.post(change_page(ada), RIGHTS | {"username": "ada"}).status_code == 302
    assert rights_of(ada) == before


def test_staff_see_no_rights_and_superusers_do(staff: Client, client: Client) -> None:
    for user in (UserFactory.create(), User.objects.create_user("bob", password=PASSWORD)):
        fields = [f'name="{name}"' for name in ("is_staff", "is_superuser", "groups", "user_permissions")]
        assert all(field in get_page(client, change_page(user)) for field in fields)
        text = get_page(staff, change_page(user))
        assert 'name="is_active"' in text
        assert not any(field in text for field in fields)
        assert "algorithm" not in text


@pytest.mark.parametrize("lookup", ["staff", "is_staff__exact", "is_superuser__exact", "groups__id__exact"])
def test_staff_cannot_filter_by_rights(staff: Client, lookup: str) -> None:
    assert "By staff" not in get_page(staff)
    User.objects.create_superuser("helga")
    response = staff.get(USERS, {lookup: "1" if "__" in lookup else "yes"})
    assert response.status_code in {302, 400}


@pytest.mark.parametrize("name", ["olaf", "helga", "bob", "ada"])
def test_staff_cannot_set_a_password(staff: Client, name: str) -> None:
    User.objects.create_superuser("helga", password=PASSWORD)
    User.objects.create_user("bob", password=PASSWORD)
    UserFactory.create(username="ada")
    user = User.objects.get(username=name)
    before = rights_of(user)
    address = f"{USERS}{user.pk}/password/"
    assert staff.get(address).status_code == 403
    assert staff.post(address, PASSWORD_FORM).status_code == 403
    assert rights_of(user) == before


def test_a_user_of_clerk_has_no_password_page(client: Client) -> None:
    ada = UserFactory.create()
    before = rights_of(ada)
    address = f"{USERS}{ada.pk}/password/"
    assert "../password/" not in get_page(client, change_page(ada))
    assert client.get(address).status_code == 404
    assert client.post(address, PASSWORD_FORM).status_code == 404
    assert rights_of(ada) == before


def test_superusers_set_the_passwords_of_local_users(client: Client) -> None:
    bob = User.objects.create_user("bob", password=PASSWORD)
    assert client.post(f"{USERS}{bob.pk}/password/", PASSWORD_FORM).status_code == 302
    assert User.objects.get(pk=bob.pk).check_password(NEW_PASSWORD)


@pytest.mark.parametrize(("clerk_id", "status"), [(None, 302), ("user_olaf", 404)])
def test_own_password_is_for_local_staff(clerk_id: str | None, status: int) -> None:
    User.objects.create_user("olaf", password=PASSWORD, is_staff=True, clerk_id=clerk_id)
    client = Client()
    assert client.login(username="olaf", password=PASSWORD)
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert client.post("/admin/password_change/", form).status_code == status


def test_staff_create_no_user(staff: Client, client: Client) -> None:
    form = PASSWORD_FORM | {"username": "eva"}
    assert staff.post(f"{USERS}add/", form).status_code == 403
    assert not User.objects.filter(username="eva").exists()
    assert client.post(f"{USERS}add/", form).status_code == 302


def with_rights(kind: str) -> User:
    """Create a user with a right that olaf does not have."""
    bob = User.objects.create_user("bob", is_superuser=kind == "superuser", is_active=kind != "inactive")
    if kind in {"permission", "inactive"}:
        bob.user_permissions.add(Permission.objects.get(codename="add_group"))
    elif kind in {"group", "permission of a group"}:
        bob.groups.add(group := Group.objects.create(name="auditors"))
        if kind != "group":
            group.permissions.add(Permission.objects.get(codename="add_group"))
    return bob


@pytest.mark.parametrize("action", ["deactivate", "activate", "delete_here", "sync_again"])
@pytest.mark.parametrize("kind", ["superuser", "permission", "group", "permission of a group", "inactive"])
def test_staff_do_not_act_on_users_with_more_rights(staff: Client, kind: str, action: str) -> None:
    bob = with_rights(kind)
    before = rights_of(bob)
    form = {"action": action, "_selected_action": [str(bob.pk)], "confirmed": "yes"}
    text = staff.post(USERS, form, follow=True).content.decode()
    assert "rights that you do not have" in text
    assert staff.post(change_page(bob), {"username": "bob"}).status_code == 403
    assert staff.get(change_page(bob)).status_code == 200
    assert rights_of(bob) == before


def test_staff_do_not_restore_a_superuser(staff: Client, run_action: RunAction) -> None:
    bob = with_rights("superuser")
    run_action("delete_here", bob)
    form = {"action": "restore", "_selected_action": [str(bob.pk)], "confirmed": "yes"}
    staff.post(f"{USERS}?state=all", form)
    assert rights_of(bob)[3] is not None
    assert "Restored" in run_action("restore", bob)


def test_staff_act_on_users_with_the_same_rights(staff: Client) -> None:
    eva = User.objects.create_user("eva", is_staff=True)
    eva.user_permissions.set(Permission.objects.filter(codename__in=ALL_ON_USERS))
    form = {"action": "deactivate", "_selected_action": [str(eva.pk)], "confirmed": "yes"}
    staff.post(USERS, form)
    assert not rights_of(eva)[2]


def test_sync_from_the_list_of_events_is_refused_too(staff: Client) -> None:
    ada = UserFactory.create(is_superuser=True)
    row = event(ada.clerk_id, at=timezone.now())
    olaf = User.objects.get(username="olaf")
    olaf.user_permissions.add(Permission.objects.get(codename="view_webhookevent"))
    form = {"action": "sync_again", "_selected_action": [str(row.pk)]}
    text = staff.post(EVENTS, form, follow=True).content.decode()
    assert "rights that you do not have" in text


def test_groups_are_for_superusers(client: Client) -> None:
    group = Group.objects.create(name="support")
    staff = sign_in_staff("view_group", "add_group", "change_group", "delete_group")
    User.objects.get(username="olaf").groups.add(group)
    permission = Permission.objects.get(codename="change_user")
    form = {"name": "support", "permissions": [permission.pk]}
    page = f"{GROUPS}{group.pk}/change/"
    assert staff.get(GROUPS).status_code == 403
    assert staff.post(page, form).status_code == 403
    assert staff.post(f"{GROUPS}add/", form | {"name": "other"}).status_code == 403
    assert staff.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    assert not group.permissions.exists()
    assert client.post(page, form).status_code == 302
    assert group.permissions.get() == permission


@pytest.mark.parametrize(
    ("permission", "offered"),
    [
        ("sync_user", {"sync_again"}),
        ("deactivate_user", {"deactivate", "activate"}),
        ("delete_here_user", {"delete_here", "restore"}),
    ],
)
def test_each_action_has_a_permission_of_its_own(permission: str, offered: set[str]) -> None:
    ada = UserFactory.create()
    client = sign_in_staff("view_user", permission)
    text = get_page(client)
    actions = {"sync_again", "deactivate", "activate", "delete_here", "restore"}
    assert {action for action in actions if f'value="{action}"' in text} == offered
    assert client.post(change_page(ada), {}).status_code == 403
    form = {"action": "deactivate", "_selected_action": [str(ada.pk)], "confirmed": "yes"}
    client.post(USERS, form)
    assert rights_of(ada)[2] is ("deactivate" not in offered)
