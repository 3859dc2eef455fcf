"""The admin of people, over HTTP: what it shows, what it lets whom do, and what stays read-only."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection, connections
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk.profiles import Source, profile_from_user
from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import delete_locally, delete_user, sync_user
from devclerk.fixtures import LocalClerk
from devclerk.wire import user_object
from health.models import SyncFailure
from tests.accounts.wire import Wire
from tests.factories import UserFactory
from tests.health.rows import event, failures

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = "/admin/accounts/user/"
NOW = 1_800_000_000_000
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
    assert 'ada@example.test <b title="verified">' in text
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
    assert {name for name in names if f"<span>{name}<br>" in text} == shown


@pytest.mark.parametrize("term", ["user_ada", "ADA@", "lovel", "ada", "  Ada "])
def test_the_search_finds_by_id_and_by_beginnings(client: Client, term: str) -> None:
    UserFactory.create(clerk_id="user_ada", email="ada@example.test", first_name="Ada", last_name="Lovelace")
    UserFactory.create(clerk_id="user_bob", email="bob@example.test", first_name="Bob", last_name="Bobson")
    text = page(client, q=term)
    assert "Lovelace" in text
    assert "Bobson" not in text


@pytest.mark.parametrize("term", ["Ada Love", "anna maria b", "Ludwig van Beet"])
def test_the_search_finds_by_first_and_last_name(client: Client, term: str) -> None:
    for first, last in [("Ada", "Lovelace"), ("Anna Maria", "Berg"), ("Ludwig", "van Beethoven")]:
        UserFactory.create(first_name=first, last_name=last)
    found = client.get(PEOPLE, {"q": term}).context["cl"].queryset
    assert [user.get_full_name()[:3].lower() for user in found] == [term[:3].lower()]


@pytest.mark.parametrize("column", ["clerk_id", "pk"])
def test_an_id_finds_deleted_rows_without_a_filter(client: Client, column: str) -> None:
    gone = UserFactory.create(first_name="Gone", deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL)
    term = str(getattr(gone, column))
    assert "Gone" in page(client, q=term)
    assert "<span>Gone" not in page(client, q=term, state="banned")
    assert "<span>Gone" not in page(client, q="Gone")


def test_staff_are_found_by_a_filter(client: Client) -> None:
    UserFactory.create(first_name="Ada")
    text = page(client, staff="yes")
    assert "helga" in text
    assert ">Ada" not in text


def test_the_list_says_of_when_our_facts_are_and_what_brought_them(
    client: Client, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    sync_user(
        profile_from_user(user_object(clerk.person("grace")), source=Source.WEBHOOK, observed_at=NOW, now=NOW)
    )
    text = page(client)
    assert "2024-01-01 00:01, webhook" in text
    assert '<td class="field-synced">-</td>' in text  # helga's, who is not in Clerk


def test_the_newest_fact_is_what_a_row_is_synced_as_of(client: Client) -> None:
    newest = 1_800_000_000_000
    UserFactory.create(field_versions={"email": [1, 2], "first_name": [newest, 3], "last_name": [9, 1]})
    assert "2027-01-15 08:00, api" in page(client)


def test_the_list_is_sorted_by_nothing_without_an_index(client: Client) -> None:
    UserFactory.create()
    assert re.findall(r'"(?:sortable) column-(\w+)', page(client)) == ["created"]


def test_the_search_finds_by_the_id_of_the_row(client: Client) -> None:
    bob = UserFactory.create(last_name="Bobson")
    UserFactory.create(last_name="Lovelace")
    text = page(client, q=str(bob.pk))
    assert "Bobson" in text
    assert "Lovelace" not in text


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


def test_a_change_by_hand_leaves_alone_what_a_sync_writes_meanwhile(client: Client) -> None:
    ada = UserFactory.create(first_name="Old", updated_at=datetime(2026, 1, 1, tzinfo=UTC))

    def sync(sender: type, instance: Any, **_: Any) -> None:
        if instance.pk == ada.pk:
            User.objects.filter(pk=ada.pk).update(first_name="New", field_versions={"first_name": [9, 2]})

    pre_save.connect(sync)
    try:
        client.post(f"{PEOPLE}{ada.pk}/change/", {"is_active": "on", "is_staff": "on"})
    finally:
        pre_save.disconnect(sync)
    ada.refresh_from_db()
    assert (ada.is_staff, ada.first_name, ada.field_versions) == (True, "New", {"first_name": [9, 2]})
    assert ada.updated_at > datetime(2026, 1, 2, tzinfo=UTC)


def test_groups_and_permissions_of_a_person_are_changed_by_hand(client: Client) -> None:
    ada, editors = UserFactory.create(), Group.objects.create(name="editors")
    permission = Permission.objects.get(codename="view_user")
    words = {"is_active": "on", "groups": [editors.pk], "user_permissions": [permission.pk]}
    assert client.post(f"{PEOPLE}{ada.pk}/change/", words).status_code == 302
    assert (list(ada.groups.all()), list(ada.user_permissions.all())) == ([editors], [permission])


def test_createsuperuser_makes_somebody_who_can_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a long password")
    call_command(
        "createsuperuser", username="root", email="root@example.test", interactive=False, verbosity=0
    )
    client = Client()
    assert client.login(username="root", password="a long password")
    assert "root" in page(client, staff="yes")


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
    assert "<td>user.updated</td><td>updated </td>" in text
    assert "<td>request, unusable_field:email, 1 times</td><td>open</td>" in text
    assert "dashboard.clerk.com" in text
    assert "users/user_ada" in text
    assert '<a href="/admin/health/syncfailure/?q=user_ada">1</a>' in page(client)


def test_what_other_rooms_know_needs_their_permission() -> None:
    ada = UserFactory.create(clerk_id="user_ada")
    event("user_ada", at=timezone.now())
    address = f"{PEOPLE}{ada.pk}/change/"
    assert "user.updated" not in page(staff_with("view_user"), address)
    User.objects.get(username="olaf").user_permissions.add(
        Permission.objects.get(codename="view_webhookevent")
    )
    client = Client()
    client.force_login(User.objects.get(username="olaf"))
    text = page(client, address)
    assert "user.updated" in text
    assert "Failures" not in text


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


def test_the_question_names_the_people_and_leads_back_to_the_same_list(client: Client) -> None:
    ada = UserFactory.create(first_name="Ada", last_name="Lovelace", email="ada@example.test")
    words = {"action": "delete_here", "_selected_action": [str(ada.pk)]}
    text = client.post(f"{PEOPLE}?q=ada%40", words).content.decode()
    assert f"Ada Lovelace ada@example.test {ada.clerk_id}" in text
    assert f'<a href="{PEOPLE}?q=ada%40"' in text


@pytest.mark.parametrize("action", ["deactivate", "delete_here"])
def test_nobody_shuts_themselves_out(act: Act, helga: User, action: str) -> None:
    ada = UserFactory.create()
    text = act(action, helga, ada)
    assert "That is you" in text
    helga.refresh_from_db()
    assert (helga.is_active, helga.deleted_at) == (True, None)
    ada.refresh_from_db()
    assert not ada.is_active or ada.deleted_at


def test_too_many_at_once_are_refused(act: Act) -> None:
    people = UserFactory.create_batch(101)
    assert "choose 100 at most" in act("deactivate", *people)
    assert User.objects.filter(is_active=False).count() == 0


@pytest.mark.parametrize(
    "shut", [{"is_active": False}, {"banned": True}, {"deleted_at": timezone.now(), "deleted_by": "local"}]
)
def test_staff_who_are_shut_out_of_the_api_are_shut_out_of_the_admin(shut: dict[str, Any]) -> None:
    olaf = User.objects.create_user("olaf", password="a long password", is_staff=True)
    login = {"username": "olaf", "password": "a long password"}
    inside, outside = Client(), Client()
    assert inside.login(**login)
    User.objects.filter(pk=olaf.pk).update(**shut)
    assert inside.get("/admin/").status_code == 302
    assert not outside.login(**login)


def test_local_staff_who_are_deleted_are_told_apart_and_restored(act: Act) -> None:
    olaf = User.objects.create_user("olaf", password="a long password", is_staff=True)
    text = act("delete_here", olaf)
    assert f"Deleted the row {olaf.pk} here. Nobody signs in with it until you restore it." in text
    assert f"Restored the row {olaf.pk}." in act("restore", olaf)
    assert Client().login(username="olaf", password="a long password")


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


@pytest.mark.postgresql
def test_who_is_deleted_while_clerk_is_asked_is_not_restored(
    act: Act, clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    ada = UserFactory.create(
        clerk_id=clerk.person("ada").id, deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL
    )

    def delete(_request: Request, response: Response) -> Response:
        delete_user(ada.clerk_id or "", at=time.time_ns() // 1_000_000)
        connections.close_all()
        return response

    clerk_settings.CLERK_API_URL = httpserver.url_for("")
    Wire(clerk, httpserver).tamper = delete
    assert "a deletion came while Clerk was asked" in act("restore", ada)
    assert not User.objects.live().filter(pk=ada.pk).exists()


@pytest.mark.parametrize("action", ["sync_again", "restore"])
def test_clerk_away_is_a_message_and_no_500(
    act: Act, clerk: LocalClerk, clerk_settings: Settings, action: str
) -> None:
    clerk_settings.CLERK_SECRET_KEY = "sk_test_wrong"
    ada = UserFactory.create(deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK)
    text = act(action, ada)
    assert f"Could not fetch {ada.clerk_id}." in text
    assert "sk_test_wrong" not in text


def test_the_first_who_cannot_be_asked_about_is_the_last(
    act: Act, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk.api_fails(503, times=100)
    people = UserFactory.create_batch(5)
    started = time.monotonic()
    text = act("sync_again", *people)
    assert time.monotonic() - started < 5
    assert text.count("Could not fetch") == 1
    assert "Nothing was done for the other 4" in text
    assert len(clerk.api_requests) == 2


def test_a_rate_limit_is_told_and_not_sat_out(act: Act, clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk.api_fails(429, times=2, retry_after=60)
    started = time.monotonic()
    assert "answered 429" in act("sync_again", UserFactory.create())
    assert time.monotonic() - started < 5


def test_where_nobody_answers_there_is_a_message(act: Act, clerk_settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        clerk_settings.CLERK_API_URL = f"http://127.0.0.1:{closed.getsockname()[1]}"
        text = act("sync_again", UserFactory.create())
    assert "gave no answer" in text


def test_one_who_is_not_in_clerk_does_not_hold_up_the_others(
    act: Act, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    unknown, ada = UserFactory.create(), UserFactory.create(clerk_id=clerk.person("ada").id)
    text = act("sync_again", unknown, ada)
    assert f"Clerk has no user {unknown.clerk_id}" in text
    assert f"Fetched {ada.clerk_id} from Clerk" in text


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


ADDRESSES = (
    PEOPLE,
    f"{PEOPLE}add/",
    "/admin/webhooks/webhookevent/",
    "/admin/health/syncfailure/",
    "/admin/health/syncfailure/today/",
    "/admin/accounts/syncrun/",
)


def test_no_page_holds_a_secret(client: Client, clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.HEALTH_TOKEN = "a health token that nobody may see"
    ada = UserFactory.create(clerk_id=clerk.person("ada").id)
    secrets = (clerk.secret_key, clerk.webhook_secret, clerk_settings.HEALTH_TOKEN, settings.SECRET_KEY)
    for address in (*ADDRESSES, f"{PEOPLE}{ada.pk}/change/", f"{PEOPLE}{ada.pk}/history/"):
        text = page(client, address)
        assert not any(secret in text for secret in secrets), address


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_can_be_seen_without_its_permission(address: str) -> None:
    assert staff_with().get(address).status_code == 403


def test_somebody_who_is_not_staff_sees_the_login(clerk: LocalClerk, clerk_settings: Settings) -> None:
    headers: dict[str, Any] = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    response = Client(headers=headers).get(PEOPLE)
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")
