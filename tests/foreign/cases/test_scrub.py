"""Scrub erases columns of each kind, also if a receiver of the project fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.models.signals import post_save
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import ClerkAccount
from tests.foreign.cases.conftest import Project

pytestmark = pytest.mark.django_db(transaction=True)


class ProjectFault(Exception):
    """A fault in the code of the project."""


def fail_when_saved_again(sender: object, instance: Any, *, created: bool, **_: object) -> None:
    """Fail for each save but the first."""
    if not created:
        raise ProjectFault


@pytest.fixture
def _broken_receiver() -> Iterator[None]:
    post_save.connect(fail_when_saved_again, sender=get_user_model())
    yield
    post_save.disconnect(fail_when_saved_again, sender=get_user_model())


def scrub_after_deletion(project: Project, *handles: str) -> str:
    """Delete these users in Clerk, scrub their rows and return the output."""
    for who in handles:
        project.send("user.deleted", project.clerk.person(who))
    ClerkAccount.objects.update(deleted_at=timezone.now() - timedelta(days=9))
    output = StringIO()
    call_command("scrub_deleted_users", "--older-than", "5", stdout=output)
    return output.getvalue()


def test_scrub_empties_columns_of_each_kind(project: Project, clerk_settings: Settings) -> None:
    if not project.has_user_names:
        clerk_settings.CLERK_USER_FIELDS |= {"email_verified": "is_confirmed", "last_name": "nickname"}
    users = []
    for who in ("ada", "yuki"):
        assert project.get(who).status_code == 200
        users.append(project.user_of(who).pk)
    ClerkAccount.objects.update(extra={"phone_number": "+491701234567"})
    output = scrub_after_deletion(project, "ada", "yuki")
    assert [account.extra for account in ClerkAccount.objects.all()] == [{}, {}]
    assert "2 rows lost" in output
    assert "kept" not in output
    for user in project.users.filter(pk__in=users):
        assert getattr(user, project.name_column) == ""
        assert not getattr(user, "is_confirmed", False)
        assert getattr(user, "nickname", None) is None


@pytest.mark.usefixtures("_broken_receiver")
def test_failing_receiver_does_not_keep_personal_data(project: Project) -> None:
    assert project.get("ada").status_code == 200
    ada = project.user_of("ada").pk
    assert "1 rows lost" in scrub_after_deletion(project, "ada")
    assert getattr(project.users.get(pk=ada), project.name_column) == ""


def test_scrub_takes_rights_and_sessions_of_users_that_a_sync_created(project: Project) -> None:
    assert project.get("ada").status_code == 200
    ada = project.user_of("ada")
    if project.has_user_names:
        ada.groups.add(Group.objects.create(name="editors"))
        ada.user_permissions.add(Permission.objects.get(codename="add_group"))
    Client().force_login(ada)
    assert "1 rows lost" in scrub_after_deletion(project, "ada")
    ada = project.users.get(pk=ada.pk)
    assert ada.last_login is None
    assert not Session.objects.exists()
    if project.has_user_names:
        assert (ada.groups.count(), ada.user_permissions.count()) == (0, 0)
