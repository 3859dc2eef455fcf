"""A session with an actor is refused in every view if the user is staff or has permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.adapter import has_rights
from accounts.models import User
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.factories import UserFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("clerk_settings"),
    pytest.mark.urls("tests.accounts.staff_urls"),
]
ACTORS = {
    "support": {"iss": "https://dashboard.clerk.com", "sid": "sess_1", "sub": "user_support"},
    "agent": {"sub": "user_agent", "type": "agent"},
    "cli": {"sub": "cli:operator@example.test"},
    "nested": {"sub": "user_b", "act": {"sub": "user_a"}},
}
Ask = Callable[..., Any]
Calls = list[dict[str, Any]]


@pytest.fixture
def ask(clerk: LocalClerk) -> Ask:
    """Send one request of `user_ada`, with the actor if one is given."""

    def send(path: str, *, act: object = None, method: str = "GET") -> Any:
        token = clerk.mint("user_ada", claims={"act": act} if act else {})
        return Client(headers={"Authorization": f"Bearer {token}"}).generic(method, path)

    return send


def make_staff(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=True)


def make_superuser(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_superuser=True)


def add_permission(user: User) -> None:
    user.user_permissions.add(Permission.objects.get(codename="delete_group"))


def add_group(user: User) -> None:
    user.groups.add(Group.objects.create(name="without permissions"))


GRANTS = [make_staff, make_superuser, add_permission, add_group]


def expect_refusal(response: Any) -> None:
    assert response.status_code == 403
    [error] = response.json()["errors"]
    assert error["code"] == "impersonation_of_staff"
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("act", ACTORS.values(), ids=ACTORS)
@pytest.mark.parametrize("grant", GRANTS)
def test_user_with_rights_is_refused_in_every_view(
    ask: Ask, decisions: Calls, grant: Callable[[User], None], act: object
) -> None:
    grant(UserFactory.create(clerk_id="user_ada"))
    for path in ("/api/v1/me", "/api/v1/session", "/api/v1/users", "/api/admin-only", "/api/inherited"):
        expect_refusal(ask(path, act=act))
    assert decisions == [{"outcome": "impersonation_of_staff"}] * 5


def test_actor_cannot_use_a_permission_of_the_user(ask: Ask) -> None:
    target = Group.objects.create(name="target")
    add_permission(UserFactory.create(clerk_id="user_ada"))
    expect_refusal(ask(f"/api/groups/{target.pk}", act=ACTORS["support"], method="DELETE"))
    assert Group.objects.filter(pk=target.pk).exists()
    assert ask(f"/api/groups/{target.pk}", method="DELETE").status_code == 204


@pytest.mark.parametrize("grant", GRANTS)
def test_own_session_is_not_affected(ask: Ask, grant: Callable[[User], None]) -> None:
    grant(UserFactory.create(clerk_id="user_ada"))
    assert ask("/api/inherited").status_code == 200


@pytest.mark.parametrize("act", ACTORS.values(), ids=ACTORS)
def test_user_without_rights_can_be_impersonated(ask: Ask, decisions: Calls, act: object) -> None:
    add_permission(UserFactory.create(clerk_id="user_other"))
    assert ask("/api/v1/me", act=act).json()["clerk_id"] == "user_ada"
    assert ask("/api/admin-only", act=act).status_code == 403
    assert decisions == [{"outcome": "ok"}] * 2


def test_removed_permission_does_not_count(ask: Ask) -> None:
    user = UserFactory.create(clerk_id="user_ada")
    add_permission(user)
    expect_refusal(ask("/api/v1/me", act=ACTORS["support"]))
    user.user_permissions.clear()
    assert ask("/api/v1/me", act=ACTORS["support"]).status_code == 200


@pytest.mark.parametrize("change", [{"is_active": False}, {"banned": True}])
def test_blocked_user_gets_user_inactive(ask: Ask, change: dict[str, bool]) -> None:
    UserFactory.create(clerk_id="user_ada", is_staff=True, **change)
    response = ask("/api/v1/me", act=ACTORS["support"])
    assert (response.status_code, response.json()["errors"][0]["code"]) == (403, "user_inactive")


@pytest.mark.parametrize(
    ("grant", "act", "count"),
    [
        *((None, None, 1), (None, ACTORS["support"], 2)),
        *((add_group, None, 1), (add_group, ACTORS["support"], 2)),
        *((make_staff, None, 1), (make_staff, ACTORS["support"], 1), (make_superuser, ACTORS["support"], 1)),
    ],
)
def test_only_an_actor_takes_a_second_statement(
    ask: Ask, grant: Callable[[User], None] | None, act: object, count: int
) -> None:
    user = UserFactory.create(clerk_id="user_ada")
    if grant:
        grant(user)
    with CaptureQueriesContext(connection) as captured:
        ask("/api/inherited", act=act)
    assert len(captured) == count
    assert all(query["sql"].startswith("SELECT") for query in captured)


def test_failed_query_for_rights_is_503(ask: Ask, decisions: Calls, failures: Calls) -> None:
    user = UserFactory.create(clerk_id="user_ada")

    def fail_on_groups(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "accounts_user_groups" in sql:
            raise OperationalError("canary-77f1")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_on_groups):
        response = ask("/api/v1/me", act=ACTORS["support"])
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, "sync_unavailable")
    assert int(response["Retry-After"]) > 0
    assert decisions == [{"outcome": "sync_unavailable"}]
    assert failures == [{"clerk_id": user.clerk_id, "source": "request", "reason": "database_error"}]
    assert SyncFailure.objects.get().reason == "database_error"


class ReadsFromReplica:
    """A router that reads from a replica, which does not exist: a read would raise."""

    def db_for_read(self, model: object, **_: object) -> str:
        return "replica"

    def db_for_write(self, model: object, **_: object) -> str:
        return "default"


def test_rights_are_read_from_the_write_database(settings: Settings) -> None:
    plain, granted = UserFactory.create_batch(2)
    add_permission(granted)
    settings.DATABASE_ROUTERS = [ReadsFromReplica()]
    assert (has_rights(plain), has_rights(granted)) == (False, True)
