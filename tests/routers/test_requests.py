"""Sign-in under a router: a replica that is empty, lags or is down has no effect."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from tests.routers.conftest import Me, Routed
from tests.routers.databases import ALIASES, copied

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.postgresql,
    pytest.mark.own_session,
]


def rows(routed: Routed) -> list[tuple[str, str]]:
    """Return first name and kind of deletion of each row, the oldest first."""
    found = User.objects.using(routed.write).order_by("created_at")
    return list(found.values_list("first_name", "deleted_by"))


def row(routed: Routed, clerk_id: str) -> User:
    return User.objects.using(routed.write).get(clerk_id=clerk_id, deleted_at=None)


def now() -> int:
    return time.time_ns() // 1_000_000


def test_first_request_creates_one_row_and_the_next_one_is_one_statement(routed: Routed, me: Me) -> None:
    assert me() == (200, "Ada")
    with CaptureQueriesContext(connections[routed.write]) as statements:
        assert me() == (200, "Ada")
    assert len(statements) == 1
    assert rows(routed) == [("Ada", "")]


def test_changed_claims_are_written(routed: Routed, me: Me, clerk: LocalClerk) -> None:
    me()
    routed.catch_up()
    clerk.update("ada", first_name="Augusta")
    assert me() == (200, "Augusta")
    assert rows(routed) == [("Augusta", "")]


def test_token_of_a_deleted_user_is_user_deleted(routed: Routed, me: Me, clerk: LocalClerk) -> None:
    token = clerk.mint("ada")
    assert me(token=token) == (200, "Ada")
    routed.catch_up()
    delete_user(clerk.person("ada").id, at=now())
    assert me(token=token) == (401, "user_deleted")
    assert rows(routed) == [("Ada", DeletedBy.CLERK)]


def test_sign_in_after_a_local_deletion_creates_one_row(routed: Routed, me: Me, clerk: LocalClerk) -> None:
    me()
    routed.catch_up()
    delete_locally(row(routed, clerk.person("ada").id))
    assert me() == (200, "Ada")
    assert rows(routed) == [("Ada", DeletedBy.LOCAL), ("Ada", "")]


@pytest.mark.parametrize("change", [{"is_active": False}, {"banned": True}])
def test_blocked_user_is_403_at_once(routed: Routed, me: Me, change: dict[str, bool]) -> None:
    me()
    routed.catch_up()
    User.objects.using(routed.write).update(**change)
    assert me() == (403, "user_inactive")


def test_deferred_column_and_reload_come_from_the_write_database(
    routed: Routed, me: Me, clerk: LocalClerk
) -> None:
    me()
    routed.catch_up()
    user = User.objects.by_clerk_id(clerk.person("ada").id)
    assert user is not None
    User.objects.using(routed.write).update(first_name="Augusta", field_versions={"banned": [1, 1]})
    assert user.field_versions == {"banned": [1, 1]}
    user.refresh_from_db()
    assert user.first_name == "Augusta"


def test_save_of_the_view_keeps_a_deletion(routed: Routed, me: Me, clerk: LocalClerk) -> None:
    me()
    routed.catch_up()
    user = User.objects.get(clerk_id=clerk.person("ada").id)
    delete_user(clerk.person("ada").id, at=now())
    user.last_name = "King"
    user.save()
    assert rows(routed) == [("Ada", DeletedBy.CLERK)]


def test_delete_of_a_row_is_a_delete_in_the_write_database(routed: Routed, me: Me) -> None:
    me()
    routed.catch_up()
    assert User.objects.get().delete()[0] == 1
    assert rows(routed) == []


def test_members_of_a_group_come_from_the_write_database(routed: Routed) -> None:
    group: Any = Group.objects.create(name="readers")
    user = User.objects.create_user("olaf")
    user.groups.add(group)
    routed.catch_up()
    user.groups.clear()
    assert list(group.user_set.all()) == []


def test_run_reloads_from_the_write_database(routed: Routed) -> None:
    run = SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL)
    routed.catch_up()
    SyncRun.objects.using(routed.write).update(cursor="user_9")
    run.refresh_from_db()
    assert run.cursor == "user_9"


def test_alias_of_the_caller_takes_precedence() -> None:
    delete_user("user_1", at=1)
    with copied("replica"):
        User.objects.update(first_name="Changed")
        stale = User.objects.using("replica").get()
        assert stale.first_name == ""
        stale.refresh_from_db(using="replica")
        assert stale.first_name == ""
        stale.refresh_from_db(from_queryset=User.objects.using("replica"))
        assert stale.first_name == ""
        User.objects.using("replica").update(deleted_at=None)
        assert User.objects.db_manager("replica").by_clerk_id("user_1") is not None
        assert User.objects.by_clerk_id("user_1") is None
