"""The page of one user in the admin: what can be changed, and the links to other packages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone

from accounts.models import SyncRun, User
from health.models import SyncFailure
from tests.config.admin.pages import EVENTS, FAILURES, RUNS, USERS, change_page, get_page, sign_in_staff
from tests.factories import UserFactory
from tests.health.rows import event, failures

pytestmark = pytest.mark.django_db(transaction=True)


def test_fields_that_clerk_owns_are_read_only_with_the_reason(client: Client) -> None:
    ada = UserFactory.create(first_name="Ada")
    text = get_page(client, change_page(ada))
    assert "Clerk owns these" in text
    assert 'name="first_name"' not in text
    assert 'name="is_active"' in text
    client.post(
        change_page(ada),
        {"first_name": "Zoe", "email": "z@x.test", "is_active": "on", "is_staff": "on"},
    )
    ada.refresh_from_db()
    assert (ada.first_name, ada.is_staff) == ("Ada", True)


def test_saving_the_page_keeps_a_concurrent_sync(client: Client) -> None:
    ada = UserFactory.create(first_name="Old", updated_at=datetime(2026, 1, 1, tzinfo=UTC))

    def sync(sender: type, instance: Any, **_: Any) -> None:
        if instance.pk == ada.pk:
            User.objects.filter(pk=ada.pk).update(first_name="New", field_versions={"first_name": [9, 2]})

    pre_save.connect(sync)
    try:
        client.post(change_page(ada), {"is_active": "on", "is_staff": "on"})
    finally:
        pre_save.disconnect(sync)
    ada.refresh_from_db()
    assert (ada.is_staff, ada.first_name, ada.field_versions) == (True, "New", {"first_name": [9, 2]})
    assert ada.updated_at > datetime(2026, 1, 2, tzinfo=UTC)


def test_groups_and_permissions_can_be_changed(client: Client) -> None:
    ada, editors = UserFactory.create(), Group.objects.create(name="editors")
    permission = Permission.objects.get(codename="view_user")
    form = {"is_active": "on", "groups": [editors.pk], "user_permissions": [permission.pk]}
    assert client.post(change_page(ada), form).status_code == 302
    assert (list(ada.groups.all()), list(ada.user_permissions.all())) == ([editors], [permission])


def test_local_staff_can_be_created_and_changed(client: Client) -> None:
    form = {
        "username": "olaf",
        "usable_password": "true",
        "password1": "q9!xkWm2vL-long",
        "password2": "q9!xkWm2vL-long",
    }
    client.post(f"{USERS}add/", form)
    olaf = User.objects.get(username="olaf")
    assert olaf.clerk_id is None
    assert 'name="clerk_id"' not in get_page(client, f"{USERS}add/")
    form = {"username": "olaf", "first_name": "Olaf", "is_active": "on"}
    assert client.post(change_page(olaf), form).status_code == 302
    assert User.objects.get(pk=olaf.pk).first_name == "Olaf"


def test_the_page_links_to_the_users_events_failures_and_clerk_page(client: Client) -> None:
    now = timezone.now()
    for clerk_id in ("user_ada", "user_bob"):
        UserFactory.create(clerk_id=clerk_id)
        event(clerk_id, at=now)
        SyncFailure.objects.record([failures(clerk_id, at=now, reason="unusable_field:email")], now=now)
    text = get_page(client, change_page(User.objects.get(clerk_id="user_ada")))
    assert "dashboard.clerk.com" in text
    assert "users/user_ada" in text
    for address in (f"{EVENTS}?q=user_ada", f"{FAILURES}?q=user_ada&amp;state=all"):
        assert f'<a href="{address}">' in text
        rows = get_page(client, address.replace("&amp;", "&"))
        assert "user_ada" in rows
        assert "user_bob" not in rows


def test_the_list_links_to_the_open_failures_of_a_user(client: Client) -> None:
    UserFactory.create(clerk_id="user_ada")
    now = timezone.now()
    SyncFailure.objects.record([failures("user_ada", at=now)], now=now)
    assert f'<a href="{FAILURES}?q=user_ada">1</a>' in get_page(client)


def test_local_staff_have_no_links_to_events_and_failures(client: Client, superuser: User) -> None:
    assert "q=None" not in get_page(client, change_page(superuser))


def test_each_link_needs_the_permission_to_view_its_rows() -> None:
    ada = UserFactory.create(clerk_id="user_ada")
    client = sign_in_staff("view_user")
    assert "Webhook events" not in get_page(client, change_page(ada))
    view_events = Permission.objects.get(codename="view_webhookevent")
    User.objects.get(username="olaf").user_permissions.add(view_events)
    text = get_page(client, change_page(ada))
    assert "Webhook events" in text
    assert f"{EVENTS}?q=user_ada" in text
    assert f"{FAILURES}?q=" not in text


def test_runs_are_read_only(client: Client) -> None:
    run = SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL)
    assert "backfill" in get_page(client, RUNS).lower()
    assert client.post(f"{RUNS}{run.pk}/delete/").status_code == 403
    assert client.get(f"{RUNS}add/").status_code == 403
