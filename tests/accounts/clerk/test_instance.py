"""The secret key of another instance: every command and admin action refuses it, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.instance import (
    InstanceGuard,
    InstanceUnconfirmed,
    OtherInstance,
    PublishedKeysUnavailable,
    VerifyingKeysUnavailable,
    compare_instances,
)
from accounts.clerk.jwks import FetchFailed, keys_of_pem
from accounts.conf import get_clerk_api
from accounts.models import SyncRun, User
from accounts.sync import delete_user
from devclerk.emulator import Emulator
from devclerk.fixtures import LocalClerk
from devclerk.server import Server
from devclerk.tokens import Keyring
from health.models import SyncFailure
from tests.accounts.wire import Wire
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
COMMANDS = [
    ("backfill_users",),
    ("backfill_users", "--dry-run"),
    ("backfill_users", "--restart"),
    ("backfill_users", "--limit", "3"),
    ("reconcile_users",),
    ("reconcile_users", "--apply"),
    ("reconcile_users", "--apply", "--allow-mass-deletion"),
    ("sync_user", "user_other0"),
    ("link_users",),
    ("link_users", "--apply"),
]
every_command = pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
FIREWALL = Response("<h1>Forbidden</h1>", status=403, content_type="text/html")


@pytest.fixture(scope="session")
def other_server() -> Iterator[Server]:
    with Server(Emulator()) as server:
        yield server


@pytest.fixture
def other(other_server: Server) -> LocalClerk:
    """Return another instance: other keys, other users."""
    other_server.emulator.reset()
    other = LocalClerk(other_server)
    replace_users(other, name="other", number=0)
    return other


def replace_users(clerk: LocalClerk, *, name: str, number: int) -> None:
    for person in clerk.people:
        clerk.delete(person)
    for each in range(number):
        clerk.new_person(id=f"user_{name}{each}", email=f"{name}{each}@example.test")


def use_key_of(other: LocalClerk, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY, settings.CLERK_API_URL = other.secret_key, other.api_url


def everything() -> list[tuple[Any, ...]]:
    """Return every row that these commands write, with its physical version where there is one."""
    version = "xmin::text, ctid::text" if connection.vendor == "postgresql" else "updated_at, deleted_at"
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clerk_id, {version} FROM {User._meta.db_table} ORDER BY id")  # noqa: S608
        rows += cursor.fetchall()
    for model in (SyncRun, SyncFailure):
        rows += model.objects.order_by("pk").values_list()
    return rows


def refusal(*command: str) -> str:
    """Run a command that must not run; return its message, and see that nothing was written."""
    before = everything()
    with pytest.raises(CommandError) as ending:
        call_command(*command, stdout=StringIO(), stderr=StringIO())
    assert ending.value.returncode == 2
    assert everything() == before
    return str(ending.value)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(100, 1100), (9, 30), (12, 12), (40, 9), (1, 1), (1, 0), (0, 3)]
)
def test_the_key_of_another_instance_writes_nothing(
    clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings, ours: int, theirs: int
) -> None:
    replace_users(clerk, name="ours", number=ours)
    replace_users(other, name="other", number=theirs)
    call_command("backfill_users", stdout=StringIO())
    use_key_of(other, clerk_settings)
    assert "another instance" in refusal("reconcile_users", "--apply")
    assert User.objects.live().count() == ours


@every_command
def test_every_command_refuses_the_key_of_another_instance(
    clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings, command: tuple[str, ...]
) -> None:
    call_command("backfill_users", stdout=StringIO())
    User.objects.create_user("local", email="other0@example.test")
    replace_users(other, name="other", number=3)
    use_key_of(other, clerk_settings)
    message = refusal(*command)
    assert "another instance" in message
    assert "Nothing was written." in message
    assert other.secret_key not in message
    assert other.api_requests == []


def test_an_interrupted_backfill_is_not_resumed_with_the_key_of_another_instance(
    clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings
) -> None:
    cursor = clerk.person("ada").id
    SyncRun.objects.create(
        kind=SyncRun.Kind.BACKFILL,
        started_at=timezone.now(),
        status=SyncRun.Status.FAILED,
        cursor=cursor,
        counts={"seen": 1},
    )
    use_key_of(other, clerk_settings)
    assert "another instance" in refusal("backfill_users")


# Which keys are compared


def jwk(keyring: Keyring, **changes: str) -> dict[str, str]:
    return {**keyring.jwks()["keys"][0], **changes}


def serve_keys(wire: Wire, *entries: dict[str, str]) -> None:
    """Let the Backend API list these public keys."""

    def tamper(request: Request, response: Response) -> Response:
        if request.path == "/v1/jwks":
            response.set_data(json.dumps({"keys": entries}))
        return response

    wire.tamper = tamper


def test_the_same_kid_with_another_modulus_is_another_instance(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(Keyring(), kid=clerk.kid))
    assert "another instance" in refusal("reconcile_users", "--apply")


def test_the_same_modulus_with_another_exponent_is_another_instance(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(clerk.emulator.keyring, e="Aw"))
    assert "another instance" in refusal("reconcile_users", "--apply")


def test_one_key_in_common_is_the_same_instance_whatever_its_kid(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(Keyring()), jwk(clerk.emulator.keyring, kid="ins_renamed"))
    call_command("backfill_users", stdout=StringIO())
    assert User.objects.live().exists()


def test_the_keys_of_a_pem_count_and_need_no_network(
    clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWKS_URL = "http://127.0.0.1:9/jwks"
    clerk_settings.CLERK_JWT_KEY = other.pem + clerk.pem
    call_command("backfill_users", stdout=StringIO())
    assert User.objects.live().exists()


def test_a_pem_of_another_instance_is_refused_though_the_address_of_the_keys_agrees(
    other: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = other.pem
    assert "another instance" in refusal("backfill_users")


# One side cannot be had


@every_command
def test_without_the_keys_that_verify_tokens_no_command_runs(
    clerk_settings: Settings, command: tuple[str, ...]
) -> None:
    clerk_settings.CLERK_JWKS_URL = "http://127.0.0.1:9/jwks"
    assert "keys that verify tokens cannot be read" in refusal(*command)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response('{"keys": []}'), "no usable key"),
        (Response('{"keys": [{"kty": "RSA"}]}'), "no usable key"),
        (Response("<h1>Sign in to the network</h1>"), "firewall or proxy"),
        (FIREWALL, "firewall or proxy"),
        (Response('{"errors": [{"code": "internal"}]}', status=503), "status 503"),
        (Response(status=302, headers={"Location": "https://portal.example.test/"}), "firewall or proxy"),
    ],
    ids=["empty", "junk", "portal", "firewall", "503", "redirect"],
)
def test_unusable_keys_of_the_address_are_a_refusal(
    clerk_settings: Settings, httpserver: HTTPServer, answer: Response, words: str
) -> None:
    httpserver.expect_request("/jwks").respond_with_response(answer)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    message = refusal("reconcile_users", "--apply")
    assert words in message
    assert "CLERK_SECRET_KEY belongs" not in message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Response('{"keys": []}'), "lists no usable key"),
        (Response('{"keys": "none"}'), "unexpected_answer"),
        (Response("null"), "unexpected_answer"),
        (Response('{"errors": [{"code": "clerk_key_invalid"}]}', status=401), "Check that CLERK_SECRET_KEY"),
        (FIREWALL, "firewall or proxy"),
    ],
    ids=["empty", "no list", "null", "401", "firewall"],
)
def test_unusable_keys_of_the_secret_key_are_a_refusal(wire: Wire, answer: Response, words: str) -> None:
    wire.tamper = lambda request, response: answer if request.path == "/v1/jwks" else response
    assert words in refusal("reconcile_users", "--apply")


@pytest.mark.parametrize("status", [500, 503])
def test_an_api_that_fails_confirms_nothing(clerk: LocalClerk, wire: Wire, status: int) -> None:
    wire.tamper = lambda _request, _response: Response(status=status)
    api = ClerkAPI(clerk.secret_key, base_url=wire.url, patience=0.2)
    with pytest.raises(ClerkAPIError):
        InstanceGuard(lambda: keys_of_pem(clerk.pem)).confirm(api)


def test_no_verifying_key_confirms_nothing(clerk: LocalClerk) -> None:
    with pytest.raises(VerifyingKeysUnavailable):
        compare_instances(ClerkAPI(clerk.secret_key, base_url=clerk.api_url), verifying_keys=())


def test_a_malformed_pem_confirms_nothing(clerk: LocalClerk) -> None:
    guard = InstanceGuard(lambda: keys_of_pem("no key"))
    with pytest.raises(VerifyingKeysUnavailable, match="no PEM public key"):
        guard.confirm(ClerkAPI(clerk.secret_key, base_url=clerk.api_url))


# What is kept


class Seconds:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def jwks_calls(wire: Wire) -> int:
    return sum(call.startswith("/v1/jwks") for call in wire.calls)


def test_a_good_answer_is_kept_for_five_minutes_if_that_is_accepted(clerk: LocalClerk, wire: Wire) -> None:
    seconds = Seconds()
    guard = InstanceGuard(lambda: keys_of_pem(clerk.pem), clock=seconds)
    api = ClerkAPI(clerk.secret_key, base_url=wire.url)
    for at, calls in [(0, 1), (0, 1), (299.9, 1), (300, 2), (301, 2), (600, 3)]:
        seconds.now = at
        guard.confirm(api, accept_kept=True)
        assert jwks_calls(wire) == calls, at
    guard.confirm(api)
    assert jwks_calls(wire) == 4


@pytest.mark.parametrize("reason", [OtherInstance, VerifyingKeysUnavailable, PublishedKeysUnavailable])
def test_a_bad_answer_is_never_kept_and_ends_a_good_one(
    clerk: LocalClerk, wire: Wire, reason: type[InstanceUnconfirmed]
) -> None:
    held: list[RSAPublicKey] = [*keys_of_pem(clerk.pem)]

    def verifying_keys() -> list[RSAPublicKey]:
        if reason is VerifyingKeysUnavailable and not held:
            raise FetchFailed("timeout")
        return held or [*keys_of_pem(Keyring().pem)]

    guard = InstanceGuard(verifying_keys, clock=Seconds())
    api = ClerkAPI(clerk.secret_key, base_url=wire.url)
    guard.confirm(api, accept_kept=True)
    held.clear()
    if reason is PublishedKeysUnavailable:
        serve_keys(wire)
    with pytest.raises(reason):
        guard.confirm(api)
    with pytest.raises(reason):
        guard.confirm(api, accept_kept=True)
    held.extend(keys_of_pem(clerk.pem))
    wire.tamper = lambda _request, response: response
    guard.confirm(api, accept_kept=True)


def test_a_changed_setting_ends_what_was_kept(
    other: LocalClerk, wire: Wire, clerk_settings: Settings
) -> None:
    for _ in range(3):
        get_clerk_api(accept_kept=True)
    assert jwks_calls(wire) == 1
    clerk_settings.CLERK_JWT_KEY = other.pem
    with pytest.raises(OtherInstance):
        get_clerk_api(accept_kept=True)


def test_a_command_never_takes_a_kept_answer(wire: Wire) -> None:
    get_clerk_api(accept_kept=True)
    call_command("backfill_users", "--dry-run", stdout=StringIO())
    assert jwks_calls(wire) == 2


# The admin


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("helga", password="a long password"))
    return client


def press(operator: Client, action: str, *users: User) -> str:
    """Choose an action for users in the admin, confirm it, and return the page that follows."""
    words = {"action": action, "_selected_action": [str(user.pk) for user in users], "confirmed": "yes"}
    response = operator.post("/admin/accounts/user/?state=all", words, follow=True)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("action", ["sync_again", "restore"])
def test_an_admin_action_refuses_the_key_of_another_instance(
    operator: Client, clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings, action: str
) -> None:
    call_command("backfill_users", stdout=StringIO())
    ada, grace = clerk.person("ada"), clerk.person("grace")
    for person in (ada, grace):
        other.new_person(id=person.id, handle=person.handle, first_name="Foreign")
        if action == "restore":
            delete_user(person.id, at=person.updated_at + 1000)
    use_key_of(other, clerk_settings)
    before = everything()
    text = press(operator, action, *User.objects.filter(clerk_id__in=[ada.id, grace.id]))
    assert text.count("another instance") == 1
    assert "Nothing was done for the other 1" in text
    assert everything() == before
    assert other.api_requests == []
    assert LogEntry.objects.filter(change_message__contains="another instance").count() == 1


def test_a_malformed_secret_key_is_a_sentence(operator: Client, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY = "sk test"
    assert "CLERK_SECRET_KEY must be one word" in press(operator, "sync_again", UserFactory.create())
    assert "CLERK_SECRET_KEY must be one word" in refusal("sync_user", "user_ada")


def test_sync_again_of_a_failure_refuses_the_key_of_another_instance(
    operator: Client, clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings
) -> None:
    ada = other.new_person(id=clerk.person("ada").id, handle="ada", first_name="Foreign")
    now = timezone.now()
    failure = SyncFailure.objects.create(
        clerk_id=ada.id, source="request", reason="unexpected_error", count=1, first_at=now, last_at=now
    )
    use_key_of(other, clerk_settings)
    before = everything()
    page = operator.post(f"/admin/health/syncfailure/{failure.pk}/sync-again/", follow=True)
    assert "another instance" in page.content.decode()
    assert everything() == before


def test_admin_actions_compare_the_instance_once_in_five_minutes(
    operator: Client, clerk: LocalClerk, wire: Wire
) -> None:
    users = [UserFactory.create(clerk_id=clerk.person(name).id) for name in ("ada", "grace", "yuki")]
    for _ in range(2):
        assert press(operator, "sync_again", *users).count("from Clerk: ") == 3
    assert jwks_calls(wire) == 1
