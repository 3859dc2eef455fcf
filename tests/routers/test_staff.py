"""The admin under a router: sessions, permissions, forms and actions use the write database."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.http import HttpResponse
from django.test import Client

from accounts.models import DeletedBy, User
from accounts.sync import delete_locally
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.factories import UserFactory
from tests.health.rows import event, failures
from tests.routers.conftest import Me, Routed
from tests.routers.databases import ALIASES

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.postgresql,
    pytest.mark.own_session,
]
USERS = "/admin/accounts/user/"
PASSWORD = "a long password"


@pytest.fixture
def helga(routed: Routed) -> User:
    return User.objects.create_superuser("helga", password=PASSWORD)


@pytest.fixture
def admin(helga: User) -> Client:
    client = Client()
    client.force_login(helga)
    return client


def act(admin: Client, action: str, *users: User, address: str = USERS) -> str:
    """Run an action on rows, confirm it and return the resulting page."""
    form = {"action": action, "_selected_action": [str(user.pk) for user in users], "confirmed": "yes"}
    response = admin.post(f"{address}?state=all", form, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def save(admin: Client, user: User, **form: object) -> HttpResponse:
    return admin.post(f"{USERS}{user.pk}/change/", {"is_active": "on", **form})  # type: ignore[return-value]


@pytest.mark.parametrize("change", [{"deleted_by": "local"}, {"banned": True}, {"is_active": False}])
def test_deleted_or_blocked_staff_cannot_log_in(
    routed: Routed, helga: User, admin: Client, change: dict[str, object]
) -> None:
    assert admin.get(USERS).status_code == 200
    routed.catch_up()
    if "deleted_by" in change:
        delete_locally(helga)
    else:
        User.objects.using(routed.write).update(**change)
    assert admin.get(USERS).status_code == 302
    answer = Client().post("/admin/login/", {"username": "helga", "password": PASSWORD})
    assert "Please enter the correct username and password" in answer.content.decode()


def test_new_staff_log_in(routed: Routed, helga: User) -> None:
    answer = Client().post("/admin/login/", {"username": "helga", "password": PASSWORD})
    assert answer.status_code == 302


@pytest.mark.parametrize("by_group", [True, False])
def test_removed_permission_opens_no_page(routed: Routed, *, by_group: bool) -> None:
    olaf = User.objects.create_user("olaf", is_staff=True)
    permission = Permission.objects.using(routed.write).get(codename="view_user")
    group = Group.objects.create(name="readers")
    group.permissions.add(permission)
    client = Client()
    client.force_login(olaf)
    assert client.get(USERS).status_code == 403
    olaf.groups.add(group) if by_group else olaf.user_permissions.add(permission)
    assert client.get(USERS).status_code == 200
    routed.catch_up()
    olaf.groups.clear() if by_group else olaf.user_permissions.clear()
    assert client.get(USERS).status_code == 403


def test_form_shows_and_saves_permissions_of_the_write_database(routed: Routed, admin: Client) -> None:
    user = UserFactory.create()
    old = Group.objects.create(name="old group")
    user.groups.add(old)
    routed.catch_up()
    user.groups.clear()
    new = Group.objects.create(name="new group")
    user.groups.add(new)
    permission = Permission.objects.using(routed.write).get(codename="view_user")
    user.user_permissions.add(permission)
    form = admin.get(f"{USERS}{user.pk}/change/").context["adminform"].form
    assert form.initial["groups"] == [new]
    assert form.initial["user_permissions"] == [permission]
    assert set(form.fields["groups"].queryset) == {old, new}
    assert save(admin, user, groups=[new.pk], user_permissions=[permission.pk]).status_code == 302
    assert list(user.groups.using(routed.write)) == [new]
    assert list(user.user_permissions.using(routed.write)) == [permission]


def test_save_of_the_form_keeps_synced_values(routed: Routed, admin: Client) -> None:
    user = UserFactory.create()
    routed.catch_up()
    User.objects.using(routed.write).filter(pk=user.pk).update(email="new@example.test")
    assert save(admin, user, is_staff="on").status_code == 302
    row = User.objects.using(routed.write).get(pk=user.pk)
    assert (row.email, row.is_staff) == ("new@example.test", True)


def test_actions_find_and_change_the_rows_of_the_write_database(
    routed: Routed, admin: Client, clerk: LocalClerk, me: Me
) -> None:
    me()
    user = User.objects.using(routed.write).get(clerk_id=clerk.person("ada").id)
    assert "Deactivated" in act(admin, "deactivate", user)
    assert me() == (403, "user_inactive")
    routed.catch_up()
    assert "Activated" in act(admin, "activate", user)
    clerk.update("ada", first_name="Augusta")
    assert "updated" in act(admin, "sync_again", user)
    assert "Deleted" in act(admin, "delete_here", user)
    assert "is deleted already" in act(admin, "delete_here", user)
    routed.catch_up()
    assert "Restored" in act(admin, "restore", user)
    row = User.objects.using(routed.write).get(clerk_id=user.clerk_id)
    assert (row.first_name, row.is_active, row.deleted_at) == ("Augusta", True, None)


def test_pages_of_events_and_failures_act_on_the_write_database(
    routed: Routed, admin: Client, clerk: LocalClerk
) -> None:
    ada = clerk.person("ada").id
    entry = event(ada, at=User.objects.using(routed.write).get().created_at)
    SyncFailure.objects.record([failures(ada, at=entry.received_at)], now=entry.received_at)
    failure = SyncFailure.objects.using(routed.write).get()
    assert ada in admin.get("/admin/webhooks/webhookevent/").content.decode()
    assert ada in admin.get("/admin/health/syncfailure/").content.decode()
    today = admin.get("/admin/health/syncfailure/today/").context
    assert (today["report"].failures.open, list(today["failures"])) == (1, [failure])
    form = {"action": "sync_again", "_selected_action": [str(entry.pk)]}
    assert b"Fetched" in admin.post("/admin/webhooks/webhookevent/", form, follow=True).content
    assert User.objects.using(routed.write).get(clerk_id=ada).first_name == "Ada"
    failure.refresh_from_db()
    assert failure.closed_at is not None


def test_deleted_user_is_shown_as_deleted(routed: Routed, admin: Client) -> None:
    user = UserFactory.create()
    routed.catch_up()
    User.objects.using(routed.write).filter(pk=user.pk).update(
        deleted_at=user.created_at, deleted_by=DeletedBy.CLERK
    )
    assert "deleted in Clerk" in admin.get(f"{USERS}{user.pk}/change/").content.decode()
