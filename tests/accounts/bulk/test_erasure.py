"""What lets a deleted user act again is erased as well: rights, the last login and sessions; also for one."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.core.serializers import serialize
from django.test import Client
from django.utils import timezone

from accounts.models import DeletedBy, User
from accounts.sync import restore_user
from health.models import SyncFailure
from tests.factories import UserFactory
from tests.health.rows import event, failures

pytestmark = pytest.mark.django_db
CLERK_ID = "user_canary"


def scrub(*arguments: str) -> str:
    """Run the command and return its output."""
    output = StringIO()
    call_command("scrub_deleted_users", *arguments, stdout=output)
    return output.getvalue()


def create_user(**fields: object) -> User:
    """Create a user with a canary in each text, who has rights and is signed in to the admin."""
    names = {name: f"canary {name}" for name in ("username", "first_name", "last_name", "image_url")}
    user = UserFactory.create(clerk_id=CLERK_ID, email="canary@example.test", **names | fields)
    user.groups.add(Group.objects.create(name="support"))
    user.user_permissions.add(Permission.objects.get(codename="add_group"))
    Client().force_login(user)
    LogEntry.objects.log_actions(user.pk, [user], CHANGE, change_message=[{"changed": {}}])
    event(CLERK_ID, at=timezone.now())
    SyncFailure.objects.record([failures(CLERK_ID, at=timezone.now())], now=timezone.now())
    return user


def delete(user: User, *, days: float = 0) -> None:
    """Mark the row as deleted this number of days ago."""
    at = timezone.now() - timedelta(days=days)
    User.objects.filter(pk=user.pk).update(deleted_at=at, deleted_by=DeletedBy.CLERK)


def dump() -> str:
    """Return all rows of all tables as text, and the contents of the sessions."""
    rows = [row for model in apps.get_models() for row in model._default_manager.all()]
    sessions = [session.get_decoded() for session in Session.objects.all()]
    return f"{serialize('json', rows)} {json.dumps(sessions)}"


@pytest.mark.parametrize("arguments", [("--older-than", "0"), ("--clerk-id", CLERK_ID)])
def test_rights_login_time_and_sessions_are_erased(arguments: tuple[str, ...]) -> None:
    user = create_user(is_staff=True, is_superuser=True)
    delete(user)
    assert scrub(*arguments) == "1 rows lost their personal data\n"
    row = User.objects.get(pk=user.pk)
    assert (row.is_staff, row.is_superuser, row.last_login) == (False, False, None)
    assert not row.groups.exists()
    assert not row.user_permissions.exists()
    assert not Session.objects.exists()


@pytest.mark.parametrize("right", ["is_staff", "group", "permission"])
def test_rows_that_were_scrubbed_before_lose_their_rights(right: str) -> None:
    user = create_user()
    delete(user)
    scrub("--older-than", "0")
    if right == "is_staff":
        User.objects.filter(pk=user.pk).update(is_staff=True)
    elif right == "group":
        user.groups.add(Group.objects.get())
    else:
        user.user_permissions.add(Permission.objects.get(codename="add_group"))
    assert scrub("--older-than", "0") == "1 rows lost their personal data\n"
    assert scrub("--older-than", "0") == "0 rows lost their personal data\n"


def test_scrubbed_row_that_is_restored_has_no_rights() -> None:
    user = create_user(is_staff=True, is_superuser=True)
    user.set_password("a long password")
    user.save()
    delete(user)
    scrub("--older-than", "0")
    restored = restore_user(User.objects.get(pk=user.pk), at=int(timezone.now().timestamp() * 1000))
    assert (restored.is_staff, restored.is_superuser, restored.has_usable_password()) == (False,) * 3
    assert restored.get_all_permissions() == set()


def test_other_users_keep_their_rights_and_sessions() -> None:
    helga = User.objects.create_superuser("helga")
    helga.groups.add(Group.objects.create(name="auditors"))
    Client().force_login(helga)
    delete(create_user())
    scrub("--clerk-id", CLERK_ID)
    helga.refresh_from_db()
    assert (helga.is_superuser, helga.groups.count(), Session.objects.count()) == (True, 1, 1)
    assert helga.last_login is not None


def test_canary_dump_after_the_scrub_of_one_user_finds_nothing() -> None:
    delete(create_user(), days=400)
    again = create_again()
    assert "canary" in dump().replace(CLERK_ID, "")
    delete(again)
    assert scrub("--clerk-id", CLERK_ID) == "2 rows lost their personal data\n"
    assert "canary" not in dump().replace(CLERK_ID, "")


def create_again() -> User:
    """Create a second row of the same user, as a sign-in after a local deletion does."""
    return UserFactory.create(clerk_id=CLERK_ID, first_name="canary again", email="canary2@example.test")


def test_scrub_of_one_user_keeps_the_others() -> None:
    delete(create_user())
    other = UserFactory.create(first_name="Bob")
    delete(other)
    scrub("--clerk-id", CLERK_ID)
    assert User.objects.get(pk=other.pk).first_name == "Bob"


def test_dry_run_for_one_user_writes_nothing() -> None:
    delete(create_user())
    before = dump()
    assert scrub("--clerk-id", CLERK_ID, "--dry-run") == "dry run: 1 rows would lose their personal data\n"
    assert dump() == before


@pytest.mark.parametrize("state", ["live", "live beside a deleted row", "unknown"])
def test_live_or_unknown_user_is_refused(state: str) -> None:
    if state != "unknown":
        user = create_user()
        if state != "live":
            delete(user)
            create_again()
    before = dump()
    with pytest.raises(CommandError, match="Nothing was erased") as refusal:
        scrub("--clerk-id", CLERK_ID)
    assert refusal.value.returncode == 2
    assert dump() == before


def test_one_of_the_two_choices_is_required() -> None:
    with pytest.raises(CommandError):
        scrub("--clerk-id", CLERK_ID, "--older-than", "1")
