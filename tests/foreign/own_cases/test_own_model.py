from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.db import connections
from django.test import Client
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from devclerk.wire import deleted_object
from tests.accounts.bulk.commands import run_json
from tests.webhooks.deliveries import SECRET, envelope, outcome_of

pytestmark = pytest.mark.django_db(transaction=True)


def customers() -> Any:
    """Return the manager of the customers."""
    return get_user_model()._default_manager


def get(clerk: LocalClerk, who: str) -> int:
    """Request a view as a user of Clerk and return the status."""
    headers = {"Authorization": f"Bearer {clerk.mint(who)}"}
    return Client(headers=headers).get("/shop/whoami").status_code


def test_neither_of_our_tables_exists(clerk_settings: Settings) -> None:
    with connections["default"].cursor() as cursor:
        tables = set(connections["default"].introspection.table_names(cursor))
    assert not tables & {"accounts_user", "accounts_clerkaccount"}
    assert not [each for each in run_checks(tags=["accounts"]) if str(each.id) == "accounts.E017"]


def test_first_request_deletion_and_backfill(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    assert [get(clerk, "ada"), get(clerk, "ada")] == [200, 200]
    ada = customers().get()
    assert (ada.clerk_id, ada.email, ada.pk) == (clerk.person("ada").id, "ada@example.test", ada.id)
    assert outcome_of(envelope("user.deleted", deleted_object(clerk.person("ada")))) == "deleted"
    assert get(clerk, "ada") == 401
    status, counts = run_json("backfill_users")
    assert (status, counts["created"]) == (0, len(clerk.people) - 1)


def test_handler_of_the_project_finds_its_own_user(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    get(clerk, "ada")
    created = {"id": "org_1", "slug": "acme", "created_by": clerk.person("ada").id}
    assert outcome_of(envelope("organization.created", created)) == "handled"
    assert [group.name for group in Group.objects.all()] == ["acme of ada@example.test"]


def test_link_by_address(clerk: LocalClerk, clerk_settings: Settings) -> None:
    old = customers().create_user("old", email="ada@example.test")
    assert run_json("link_users", "--apply")[0] == 0
    assert customers().get(pk=old.pk).clerk_id == clerk.person("ada").id
