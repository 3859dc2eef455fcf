from __future__ import annotations

from dataclasses import replace

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from pytest_django import Settings

from accounts.models import ClerkAccount, DeletedBy
from accounts.sync import restore_user
from tests.foreign.cases.conftest import Project
from tests.waiting import wait_until
from tests.webhooks.deliveries import deliver, envelope, next_id, now, outcome_of
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_webhook_creates_account_and_user(project: Project) -> None:
    ada = project.clerk.person("ada")
    assert project.send("user.created", ada) == "created"
    assert project.user_of("ada").email == "ada@example.test"
    later = replace(ada, first_name="Augusta", updated_at=now())
    assert project.send("user.updated", later) == "updated"
    assert getattr(project.user_of("ada"), project.name_column) == "Augusta"


def test_further_fields_are_those_of_the_account(project: Project, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_EXTRA_FIELDS = ["locale", "public_metadata"]
    clerk_settings.CLERK_CLAIMS = "email=email,public_metadata=public_metadata"
    ada = replace(project.clerk.person("ada"), locale="en", public_metadata={"plan": "pro"}, updated_at=now())
    assert project.send("user.updated", ada) == "created"
    token = project.clerk.mint("ada", claims={"public_metadata": {"plan": "free"}}, now=now() / 1000 + 2)
    for _ in range(2):
        assert project.get("ada", token=token).status_code == 200
    account = project.user_of("ada").clerk_account
    assert account.extra == {"locale": "en", "public_metadata": {"plan": "free"}}


def test_ban_refuses_and_leaves_the_user_alone(project: Project) -> None:
    project.get("ada")
    banned = replace(project.clerk.person("ada"), banned=True, updated_at=now())
    assert project.send("user.updated", banned) == "updated"
    assert project.get("ada").status_code == 403
    assert project.user_of("ada").is_active


def test_restored_account_without_a_user_gets_one(project: Project) -> None:
    ada = project.clerk.person("ada")
    assert project.send("user.deleted", ada) == "deleted"
    account = ClerkAccount.objects.get()
    assert account.user is None
    restored = restore_user(account, at=now() + 1)
    assert project.user_of("ada") == restored.user
    assert project.get("ada").status_code == 200


@pytest.mark.parametrize("kind", ["user.updated", "user.deleted"])
def test_user_is_deactivated_if_the_setting_is_on(
    project: Project, clerk_settings: Settings, kind: str
) -> None:
    clerk_settings.CLERK_DEACTIVATE_USERS = True
    project.get("ada")
    user = project.user_of("ada")
    project.send(kind, replace(project.clerk.person("ada"), banned=True, updated_at=now()))
    user.refresh_from_db()
    assert not user.is_active


def test_deletion_is_final_and_leaves_the_user_alone(project: Project) -> None:
    project.get("ada")
    user = project.user_of("ada")
    assert project.send("user.deleted", project.clerk.person("ada")) == "deleted"
    assert project.get("ada").status_code == 401
    user.refresh_from_db()
    assert user.is_active
    assert ClerkAccount.objects.get().deleted_by == DeletedBy.CLERK


def test_deletion_of_an_unknown_user_is_stored_without_a_user(project: Project) -> None:
    assert project.send("user.deleted", project.clerk.person("ada")) == "deleted"
    assert (project.users.count(), ClerkAccount.objects.get().user_id) == (0, None)
    assert project.get("ada").status_code == 401


def test_event_for_an_account_without_a_user_is_stale(project: Project) -> None:
    project.get("ada")
    project.user_of("ada").delete()
    later = replace(project.clerk.person("ada"), first_name="Augusta", updated_at=now())
    assert project.send("user.updated", later) == "stale"


def test_handler_of_the_project_runs_once_and_again_after_its_failure(project: Project) -> None:
    created = {"id": "org_1", "slug": "acme", "created_by": project.clerk.person("ada").id}
    event, svix_id = envelope("organization.created", created), next_id()
    assert deliver(event, svix_id=svix_id).status_code == 503  # its creator has no account yet
    entry = WebhookEvent.objects.get()
    assert (entry.failed_handler, entry.error_code) == (
        *("tests.foreign.shop.clerk_events.add_group", "DoesNotExist"),
    )
    project.get("ada")
    assert [outcome_of(event, svix_id=svix_id) for _ in range(2)] == ["handled", "duplicate"]
    assert [group.name for group in Group.objects.all()] == ["acme of ada@example.test"]


def test_probes_and_webhooks_open_no_transaction() -> None:
    from health.views import live, ready
    from webhooks.views import clerk_webhook

    for view in (live, ready, clerk_webhook):
        assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]


def test_ready_without_a_first_token(project: Project) -> None:
    from health.checks import database_check

    database_check.forget()
    wait_until(lambda: Client().get("/health/ready").status_code == 200)
    assert project.clerk.key_requests >= 1
