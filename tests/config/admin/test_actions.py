"""Actions of the admin that need no call to Clerk."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import Error, InterfaceError, OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import DeletedBy, User
from devclerk.fixtures import LocalClerk
from tests.config.admin.conftest import RunAction
from tests.config.admin.pages import USERS, get_page
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("action", ["sync_again", "deactivate", "activate", "delete_here", "restore"])
def test_each_action_asks_for_confirmation(run_action: RunAction, action: str) -> None:
    ada = UserFactory.create(is_active=False)
    before = User.objects.values().get(pk=ada.pk)
    assert "Yes, go on" in run_action(action, ada, confirmed=False)
    assert User.objects.values().get(pk=ada.pk) == before
    assert not LogEntry.objects.exists()


def test_the_confirmation_names_the_users_and_links_back_to_the_list(client: Client) -> None:
    ada = UserFactory.create(first_name="Ada", last_name="Lovelace", email="ada@example.test")
    form = {"action": "delete_here", "_selected_action": [str(ada.pk)]}
    text = client.post(f"{USERS}?q=ada%40", form).content.decode()
    assert f"Ada Lovelace ada@example.test {ada.clerk_id}" in text
    assert f'<a href="{USERS}?q=ada%40"' in text


@pytest.mark.parametrize("action", ["deactivate", "delete_here"])
def test_an_action_never_locks_out_its_own_operator(
    run_action: RunAction, superuser: User, action: str
) -> None:
    ada = UserFactory.create()
    text = run_action(action, superuser, ada)
    assert "This is your own account" in text
    superuser.refresh_from_db()
    assert (superuser.is_active, superuser.deleted_at) == (True, None)
    ada.refresh_from_db()
    assert not ada.is_active or ada.deleted_at


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("action", ["deactivate", "activate", "delete_here", "restore"])
def test_database_failure_of_one_user_is_a_message(
    run_action: RunAction, action: str, error: type[Error]
) -> None:
    first, second, third = UserFactory.create_batch(3, clerk_id=None)
    if action == "restore":
        User.objects.filter(is_staff=False).update(deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL)

    def fail_at_second(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.startswith("UPDATE") and "accounts_user" in sql and str(second.pk.hex) in _hex(params):
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_at_second):
        text = run_action(action, first, second, third)

    assert f"The database failed at the row {second.pk} (database_error)." in text
    assert LogEntry.objects.count() == 3
    for user in (first, third):
        assert f"ed the row {user.pk}" in text


def _hex(params: Any) -> str:
    """Return the parameters of a statement as text, with UUIDs as SQLite stores them."""
    return repr(params).replace("-", "")


def test_database_failure_of_the_history_is_a_warning(run_action: RunAction) -> None:
    ada = UserFactory.create()

    def fail(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if "INSERT" in sql and "django_admin_log" in sql:
            raise OperationalError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        text = run_action("deactivate", ada)

    assert f"Deactivated {ada.clerk_id}." in text
    assert "Not in the history" in text


def test_more_than_100_users_are_refused(run_action: RunAction) -> None:
    users = UserFactory.create_batch(101)
    assert "select at most 100 rows" in run_action("deactivate", *users)
    assert User.objects.filter(is_active=False).count() == 0


def test_deleted_local_staff_are_named_by_row_and_can_be_restored(run_action: RunAction) -> None:
    olaf = User.objects.create_user("olaf", password="a long password", is_staff=True)
    text = run_action("delete_here", olaf)
    assert f"Deleted the row {olaf.pk}" in text
    assert f"Restored the row {olaf.pk}." in run_action("restore", olaf)
    assert Client().login(username="olaf", password="a long password")


def test_deactivate_is_403_in_the_api_until_activate(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    def me() -> int:
        headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
        return Client(headers=headers).get("/api/v1/me").status_code

    assert me() == 200
    ada = User.objects.get(clerk_id=clerk.person("ada").id)
    assert f"Deactivated {ada.clerk_id}." in run_action("deactivate", ada)
    assert me() == 403
    assert f"Activated {ada.clerk_id}." in run_action("activate", ada)
    assert me() == 200
    assert LogEntry.objects.count() == 2


def test_local_deletion_keeps_the_row_and_the_next_sign_in_creates_another(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    first = Client(headers=headers).get("/api/v1/me").json()["id"]
    assert "The next sign-in creates a new row." in run_action("delete_here", User.objects.get(pk=first))
    second = Client(headers=headers).get("/api/v1/me").json()["id"]
    assert first != second
    assert User.objects.get(pk=first).deleted_by == DeletedBy.LOCAL


def test_djangos_deletion_is_not_offered(client: Client) -> None:
    ada = UserFactory.create()
    assert client.post(f"{USERS}{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in get_page(client)
    assert User.objects.filter(pk=ada.pk).exists()
