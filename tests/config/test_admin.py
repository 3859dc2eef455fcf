"""The admin of people, over HTTP: what it shows, what it lets whom do, and what stays read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.factories import UserFactory
from tests.health.rows import event, failures

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = "/admin/accounts/user/"
Act = Callable[..., str]


@pytest.fixture
def helga() -> User:
    return User.objects.create_superuser("helga", password="a long password")


@pytest.fixture
def client(helga: User) -> Client:
    client = Client()
    client.force_login(helga)
    return client


def staff_with(*names: str) -> Client:
    """Sign in as staff who have these permissions alone."""
    user = User.objects.create_user("olaf", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, address: str = PEOPLE, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def act(client: Client) -> Act:
    """Choose an action for people, confirm it, and give the page that follows."""

    def act(action: str, *people: User, confirmed: bool = True) -> str:
        words = {"action": action, "_selected_action": [str(user.pk) for user in people]}
        if confirmed:
            words["confirmed"] = "yes"
        response = client.post(f"{PEOPLE}?state=all", words, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    return act


# The list


def test_the_list_shows_who_is_live_and_in_what_state(client: Client) -> None:
    UserFactory.create(first_name="Ada", email="ada@example.test", email_verified=True)
    UserFactory.create(first_name="Bob", banned=True)
    UserFactory.create(first_name="Gone", deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK)
    text = page(client)
    assert "ada@example.test \u2713" in text
    assert "banned in Clerk" in text
    assert "Gone" not in text
    assert "Gone" in page(client, state="clerk")


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("inactive", {"Inactive"}),
        ("banned", {"Banned"}),
        ("clerk", {"Buried"}),
        ("local", {"Removed"}),
        ("all", {"Live", "Inactive", "Banned", "Buried", "Removed"}),
    ],
)
def test_the_filter_finds_each_state(client: Client, state: str, shown: set[str]) -> None:
    now = timezone.now()
    UserFactory.create(first_name="Live", last_name="")
    UserFactory.create(first_name="Inactive", last_name="", is_active=False)
    UserFactory.create(first_name="Banned", last_name="", banned=True)
    UserFactory.create(first_name="Buried", last_name="", deleted_at=now, deleted_by=DeletedBy.CLERK)
    UserFactory.create(first_name="Removed", last_name="", deleted_at=now, deleted_by=DeletedBy.LOCAL)
    text = page(client, state=state)
    names = {"Live", "Inactive", "Banned", "Buried", "Removed"}
    assert {name for name in names if f">{name}</a>" in text} == shown


@pytest.mark.parametrize("term", ["user_ada", "ADA@", "lovel", "ada", "  Ada "])
def test_the_search_finds_by_id_and_by_beginnings(client: Client, term: str) -> None:
    UserFactory.create(clerk_id="user_ada", email="ada@example.test", first_name="Ada", last_name="Lovelace")
    UserFactory.create(clerk_id="user_bob", email="bob@example.test", first_name="Bob", last_name="Bobson")
    text = page(client, q=term)
    assert "Lovelace" in text
    assert "Bobson" not in text


def test_the_search_finds_by_the_id_of_the_row(client: Client) -> None:
    bob = UserFactory.create(last_name="Bobson")
    UserFactory.create(last_name="Lovelace")
    text = page(client, q=str(bob.pk))
    assert "Bobson" in text
    assert "Lovelace" not in text


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "query",
    [
        {"q": "person1234"},
        {"q": "user_00001234"},
        {},
        {"state": "clerk"},
        {"state": "banned"},
        {"state": "inactive"},
    ],
)
def test_the_list_scans_no_table(client: Client, query: dict[str, str]) -> None:
    people = [
        User(username=f"n{n}", clerk_id=f"user_{n:08d}", email=f"person{n}@example.test", first_name=f"N{n}")
        for n in range(20_000)
    ]
    User.objects.bulk_create(people, batch_size=2_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_user")
    with CaptureQueriesContext(connection) as captured:
        page(client, **query)
    about_people = [each["sql"] for each in captured if 'FROM "accounts_user"' in each["sql"]]
    assert about_people
    for sql in about_people:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        # The count stops at ten thousand rows, which may be read in any order.
        assert "Seq Scan on accounts_user" not in plan or "LIMIT 10000" in sql, f"{sql}\n{plan}"


def test_the_number_of_statements_does_not_grow_with_the_rows(client: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client)
        return len(captured)

    UserFactory.create()
    few = statements()
    UserFactory.create_batch(30)
    assert statements() == few


# The page of a person


def test_what_clerk_owns_is_read_only_and_says_why(client: Client) -> None:
    ada = UserFactory.create(first_name="Ada")
    text = page(client, f"{PEOPLE}{ada.pk}/change/")
    assert "Clerk owns these" in text
    assert 'name="first_name"' not in text
    assert 'name="is_active"' in text
    client.post(
        f"{PEOPLE}{ada.pk}/change/",
        {"first_name": "Zoe", "email": "z@x.test", "is_active": "on", "is_staff": "on"},
    )
    ada.refresh_from_db()
    assert (ada.first_name, ada.is_staff) == ("Ada", True)


def test_local_staff_are_made_and_changed_as_in_any_django(client: Client) -> None:
    words = {
        "username": "olaf",
        "usable_password": "true",
        "password1": "q9!xkWm2vL-long",
        "password2": "q9!xkWm2vL-long",
    }
    client.post(f"{PEOPLE}add/", words)
    olaf = User.objects.get(username="olaf")
    assert olaf.clerk_id is None
    assert 'name="clerk_id"' not in page(client, f"{PEOPLE}add/")
    words = {"username": "olaf", "first_name": "Olaf", "is_active": "on"}
    assert client.post(f"{PEOPLE}{olaf.pk}/change/", words).status_code == 302
    assert User.objects.get(pk=olaf.pk).first_name == "Olaf"


def test_the_page_shows_events_failures_and_the_way_to_clerk(client: Client) -> None:
    ada = UserFactory.create(clerk_id="user_ada")
    event("user_ada", at=timezone.now())
    now = timezone.now()
    SyncFailure.objects.record([failures("user_ada", at=now, reason="unusable_field:email")], now=now)
    text = page(client, f"{PEOPLE}{ada.pk}/change/")
    assert "user.updated: updated" in text
    assert "unusable_field:email: open" in text
    assert "dashboard.clerk.com" in text
    assert "users/user_ada" in text
    assert '<td class="field-open_failures">1</td>' in page(client)


def test_runs_can_be_read_and_nothing_else(client: Client) -> None:
    run = SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL)
    assert "backfill" in page(client, "/admin/accounts/syncrun/").lower()
    assert client.post(f"/admin/accounts/syncrun/{run.pk}/delete/").status_code == 403
    assert client.get("/admin/accounts/syncrun/add/").status_code == 403


# Actions


@pytest.mark.parametrize("action", ["sync_again", "deactivate", "activate", "delete_here", "restore"])
def test_each_action_asks_first(act: Act, action: str) -> None:
    ada = UserFactory.create(is_active=False)
    before = User.objects.values().get(pk=ada.pk)
    assert "Yes, go on" in act(action, ada, confirmed=False)
    assert User.objects.values().get(pk=ada.pk) == before
    assert not LogEntry.objects.exists()


def test_deactivating_shuts_the_api_and_activating_opens_it(
    act: Act, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    def me() -> int:
        headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
        return Client(headers=headers).get("/api/v1/me").status_code

    assert me() == 200
    ada = User.objects.get(clerk_id=clerk.person("ada").id)
    assert f"Deactivated {ada.clerk_id}." in act("deactivate", ada)
    assert me() == 403
    assert f"Activated {ada.clerk_id}." in act("activate", ada)
    assert me() == 200
    assert LogEntry.objects.count() == 2


def test_deleting_here_keeps_the_row_and_the_next_sign_in_makes_a_fresh_one(
    act: Act, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    headers = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    first = Client(headers=headers).get("/api/v1/me").json()["id"]
    assert "The next sign-in makes a fresh row." in act("delete_here", User.objects.get(pk=first))
    second = Client(headers=headers).get("/api/v1/me").json()["id"]
    assert first != second
    assert User.objects.get(pk=first).deleted_by == DeletedBy.LOCAL


def test_syncing_again_fetches_from_clerk(act: Act, clerk: LocalClerk, clerk_settings: Settings) -> None:
    ada = UserFactory.create(clerk_id=clerk.person("ada").id, first_name="Old")
    assert f"Fetched {ada.clerk_id} from Clerk: updated." in act("sync_again", ada)
    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert "Fetched" in LogEntry.objects.get().get_change_message()


def test_restoring_asks_clerk_whether_there_is_somebody(
    act: Act, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    known, unknown = UserFactory.create(clerk_id=clerk.person("ada").id), UserFactory.create()
    for user in (known, unknown):
        delete_user(user.clerk_id or "", at=1_700_000_000_000)
    text = act("restore", known, unknown)
    assert f"Restored {known.clerk_id}." in text
    assert f"Clerk has no user {unknown.clerk_id}" in text
    assert list(User.objects.live().exclude(clerk_id=None)) == [known]


def test_nobody_is_restored_beside_a_live_row(act: Act, clerk: LocalClerk, clerk_settings: Settings) -> None:
    old = UserFactory.create(clerk_id=clerk.person("ada").id)
    delete_locally(old)
    UserFactory.create(clerk_id=old.clerk_id)
    assert "another row of the same person is live" in act("restore", old)


@pytest.mark.parametrize("action", ["sync_again", "restore"])
def test_clerk_away_is_a_message_and_no_500(
    act: Act, clerk: LocalClerk, clerk_settings: Settings, action: str
) -> None:
    clerk_settings.CLERK_SECRET_KEY = "sk_test_wrong"
    ada = UserFactory.create(deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK)
    text = act(action, ada)
    assert f"Could not fetch {ada.clerk_id}." in text
    assert "sk_test_wrong" not in text


def test_without_a_secret_key_the_message_says_what_to_set(act: Act, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY = ""
    assert "CLERK_SECRET_KEY is not set" in act("sync_again", UserFactory.create())


def test_nothing_is_lost_by_djangos_own_deletion(client: Client) -> None:
    ada = UserFactory.create()
    assert client.post(f"{PEOPLE}{ada.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in page(client)
    assert User.objects.filter(pk=ada.pk).exists()


# Who may do what


def test_staff_who_may_only_look_see_no_action() -> None:
    UserFactory.create(first_name="Ada")
    text = page(staff_with("view_user"))
    assert "Ada" in text
    assert 'name="action"' not in text


def test_staff_without_permission_see_nobody() -> None:
    ada = UserFactory.create(first_name="Ada")
    client = staff_with()
    assert client.get(PEOPLE).status_code == 403
    assert client.get(f"{PEOPLE}{ada.pk}/change/").status_code == 403


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (("view_user", "change_user"), {"sync_again", "deactivate", "activate"}),
        (("view_user", "delete_user"), {"delete_here", "restore"}),
    ],
)
def test_each_permission_offers_its_actions(permissions: tuple[str, ...], offered: set[str]) -> None:
    UserFactory.create()
    text = page(staff_with(*permissions))
    actions = {"sync_again", "deactivate", "activate", "delete_here", "restore"}
    assert {action for action in actions if f'value="{action}"' in text} == offered


def test_an_action_that_is_not_offered_does_nothing() -> None:
    ada = UserFactory.create()
    words = {"action": "deactivate", "_selected_action": [str(ada.pk)], "confirmed": "yes"}
    staff_with("view_user").post(PEOPLE, words)
    ada.refresh_from_db()
    assert ada.is_active


def test_somebody_who_is_not_staff_sees_the_login(clerk: LocalClerk, clerk_settings: Settings) -> None:
    headers: dict[str, Any] = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    response = Client(headers=headers).get(PEOPLE)
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")
