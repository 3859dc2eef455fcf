"""The secret key of another instance: the admin actions refuse it and write nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.sync import delete_user
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.accounts.clerk.instances import (
    get_written_rows,
    jwks_calls,
    refusal,
    use_key_of,
)
from tests.accounts.wire import Wire
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("helga", password="a long password"))
    return client


def run_action(operator: Client, action: str, *users: User) -> str:
    """Run an admin action for users with its confirmation; return the page that follows."""
    data = {"action": action, "_selected_action": [str(user.pk) for user in users], "confirmed": "yes"}
    response = operator.post("/admin/accounts/user/?state=all", data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("action", ["sync_again", "restore"])
def test_admin_action_refuses_the_key_of_another_instance(
    operator: Client, clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings, action: str
) -> None:
    call_command("backfill_users", stdout=StringIO())
    ada, grace = clerk.person("ada"), clerk.person("grace")
    for user in (ada, grace):
        other.new_person(id=user.id, handle=user.handle, first_name="Foreign")
        if action == "restore":
            delete_user(user.id, at=user.updated_at + 1000)
    use_key_of(other, clerk_settings)
    before = get_written_rows()
    text = run_action(operator, action, *User.objects.filter(clerk_id__in=[ada.id, grace.id]))
    assert text.count("another instance") == 1
    assert "Nothing was done for the other 1" in text
    assert get_written_rows() == before
    assert other.api_requests == []
    assert LogEntry.objects.filter(change_message__contains="another instance").count() == 1


def test_sync_again_of_a_failure_refuses_the_key_of_another_instance(
    operator: Client, clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings
) -> None:
    ada = other.new_person(id=clerk.person("ada").id, handle="ada", first_name="Foreign")
    now = timezone.now()
    failure = SyncFailure.objects.create(
        clerk_id=ada.id, source="request", reason="unexpected_error", count=1, first_at=now, last_at=now
    )
    use_key_of(other, clerk_settings)
    before = get_written_rows()
    page = operator.post(f"/admin/health/syncfailure/{failure.pk}/sync-again/", follow=True)
    assert "another instance" in page.content.decode()
    assert get_written_rows() == before


def test_admin_actions_compare_the_instance_once_in_five_minutes(
    operator: Client, clerk: LocalClerk, wire: Wire
) -> None:
    users = [UserFactory.create(clerk_id=clerk.person(name).id) for name in ("ada", "grace", "yuki")]
    for _ in range(2):
        assert run_action(operator, "sync_again", *users).count("from Clerk: ") == 3
    assert jwks_calls(wire) == 1


def test_malformed_secret_key_is_a_sentence(operator: Client, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY = "sk test"
    assert "CLERK_SECRET_KEY must be one word" in run_action(operator, "sync_again", UserFactory.create())
    assert "CLERK_SECRET_KEY must be one word" in refusal("sync_user", "user_ada")
