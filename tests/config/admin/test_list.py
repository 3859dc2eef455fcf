"""The list of users in the admin: columns, filters, search and order."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.clerk.profiles import Source, profile_from_user
from accounts.models import DeletedBy
from accounts.sync import sync_user
from devclerk.fixtures import LocalClerk
from devclerk.wire import user_object
from tests.config.admin.pages import USERS, get_page
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
NOW_MS = 1_800_000_000_000  # 15 January 2027, 08:00 UTC


def test_the_list_shows_live_users_with_their_state(client: Client) -> None:
    UserFactory.create(first_name="Ada", email="ada@example.test", email_verified=True)
    UserFactory.create(first_name="Bob", banned=True)
    UserFactory.create(first_name="Zelda", deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK)
    text = get_page(client)
    assert '<bdi>ada@example.test</bdi> <b title="verified">' in text
    assert "banned in Clerk" in text
    assert "Zelda" not in text
    assert "Zelda" in get_page(client, state="clerk")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("inactive", {"Inactive"}),
        ("banned", {"Banned"}),
        ("clerk", {"DeletedInClerk"}),
        ("local", {"DeletedLocally"}),
        ("all", {"Live", "Inactive", "Banned", "DeletedInClerk", "DeletedLocally"}),
    ],
)
def test_the_filter_finds_each_state(client: Client, state: str, shown: set[str]) -> None:
    now = timezone.now()
    UserFactory.create(first_name="Live", last_name="")
    UserFactory.create(first_name="Inactive", last_name="", is_active=False)
    UserFactory.create(first_name="Banned", last_name="", banned=True)
    UserFactory.create(first_name="DeletedInClerk", last_name="", deleted_at=now, deleted_by=DeletedBy.CLERK)
    UserFactory.create(first_name="DeletedLocally", last_name="", deleted_at=now, deleted_by=DeletedBy.LOCAL)
    text = get_page(client, state=state)
    names = {"Live", "Inactive", "Banned", "DeletedInClerk", "DeletedLocally"}
    assert {name for name in names if f"<span><bdi>{name}</bdi><br>" in text} == shown


@pytest.mark.parametrize("term", ["user_ada", "ADA@", "lovel", "ada", "  Ada "])
def test_search_matches_ids_and_prefixes(client: Client, term: str) -> None:
    UserFactory.create(clerk_id="user_ada", email="ada@example.test", first_name="Ada", last_name="Lovelace")
    UserFactory.create(clerk_id="user_bob", email="bob@example.test", first_name="Bob", last_name="Bobson")
    text = get_page(client, q=term)
    assert "Lovelace" in text
    assert "Bobson" not in text


@pytest.mark.parametrize("term", ["Ada Love", "anna maria b", "Ludwig van Beet"])
def test_search_matches_first_and_last_name_together(client: Client, term: str) -> None:
    for first, last in [("Ada", "Lovelace"), ("Anna Maria", "Berg"), ("Ludwig", "van Beethoven")]:
        UserFactory.create(first_name=first, last_name=last)
    found = client.get(USERS, {"q": term}).context["cl"].queryset
    assert [user.get_full_name()[:3].lower() for user in found] == [term[:3].lower()]


@pytest.mark.parametrize("column", ["clerk_id", "pk"])
def test_search_for_an_id_includes_deleted_rows(client: Client, column: str) -> None:
    deleted = UserFactory.create(first_name="Zelda", deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL)
    term = str(getattr(deleted, column))
    assert "Zelda" in get_page(client, q=term)
    assert "<span>Zelda" not in get_page(client, q=term, state="banned")
    assert "<span>Zelda" not in get_page(client, q="Zelda")


def test_a_filter_selects_staff(client: Client) -> None:
    UserFactory.create(first_name="Ada")
    text = get_page(client, staff="yes")
    assert "helga" in text
    assert ">Ada" not in text


def test_the_list_shows_the_time_and_source_of_the_newest_fact(
    client: Client, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    sync_user(
        profile_from_user(
            user_object(clerk.person("grace")), source=Source.WEBHOOK, observed_at=NOW_MS, now=NOW_MS
        )
    )
    text = get_page(client)
    assert "2024-01-01 00:01, webhook" in text
    assert '<td class="field-synced">-</td>' in text  # the superuser is not in Clerk


def test_synced_as_of_is_the_time_of_the_newest_field(client: Client) -> None:
    UserFactory.create(field_versions={"email": [1, 2], "first_name": [NOW_MS, 3], "last_name": [9, 1]})
    assert "2027-01-15 08:00, api" in get_page(client)


def test_only_the_indexed_column_is_sortable(client: Client) -> None:
    UserFactory.create()
    assert re.findall(r'"(?:sortable) column-(\w+)', get_page(client)) == ["created"]


def test_search_matches_the_row_id(client: Client) -> None:
    bob = UserFactory.create(last_name="Bobson")
    UserFactory.create(last_name="Lovelace")
    text = get_page(client, q=str(bob.pk))
    assert "Bobson" in text
    assert "Lovelace" not in text


def test_the_query_count_does_not_grow_with_the_rows(client: Client) -> None:
    def count_queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            get_page(client)
        return len(captured)

    UserFactory.create()
    few = count_queries()
    UserFactory.create_batch(30)
    assert count_queries() == few
