"""The secret key of another instance: every command refuses it and writes nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from accounts.models import SyncRun, User
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from tests.accounts.clerk.instances import (
    jwk,
    refusal,
    replace_users,
    serve_keys,
    use_key_of,
)
from tests.accounts.wire import Wire

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


@pytest.mark.parametrize(
    ("ours", "theirs"), [(100, 1100), (9, 30), (12, 12), (40, 9), (1, 1), (1, 0), (0, 3)]
)
def test_key_of_another_instance_writes_nothing(
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


def test_unfinished_backfill_is_not_resumed_with_the_key_of_another_instance(
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


def test_the_same_kid_with_another_modulus_is_another_instance(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(Keyring(), kid=clerk.kid))
    assert "another instance" in refusal("reconcile_users", "--apply")


def test_the_same_modulus_with_another_exponent_is_another_instance(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(clerk.emulator.keyring, e="Aw"))
    assert "another instance" in refusal("reconcile_users", "--apply")


def test_one_key_in_common_is_the_same_instance_with_any_kid(clerk: LocalClerk, wire: Wire) -> None:
    serve_keys(wire, jwk(Keyring()), jwk(clerk.emulator.keyring, kid="ins_renamed"))
    call_command("backfill_users", stdout=StringIO())
    assert User.objects.live().exists()


def test_keys_of_a_pem_are_compared_without_the_network(
    clerk: LocalClerk, other: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWKS_URL = "http://127.0.0.1:9/jwks"
    clerk_settings.CLERK_JWT_KEY = other.pem + clerk.pem
    call_command("backfill_users", stdout=StringIO())
    assert User.objects.live().exists()


def test_pem_of_another_instance_is_refused_with_the_jwks_of_the_right_one(
    other: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = other.pem
    assert "another instance" in refusal("backfill_users")


@every_command
def test_no_command_runs_without_the_keys_that_verify_tokens(
    clerk_settings: Settings, command: tuple[str, ...]
) -> None:
    clerk_settings.CLERK_JWKS_URL = "http://127.0.0.1:9/jwks"
    assert "keys that verify tokens cannot be read" in refusal(*command)


@pytest.mark.parametrize(
    ("answer", "text"),
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
def test_jwks_without_usable_keys_is_a_refusal(
    clerk_settings: Settings, httpserver: HTTPServer, answer: Response, text: str
) -> None:
    httpserver.expect_request("/jwks").respond_with_response(answer)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    message = refusal("reconcile_users", "--apply")
    assert text in message
    assert "CLERK_SECRET_KEY belongs" not in message


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Response('{"keys": []}'), "lists no usable key"),
        (Response('{"keys": "none"}'), "unexpected_answer"),
        (Response("null"), "unexpected_answer"),
        (Response('{"errors": [{"code": "clerk_key_invalid"}]}', status=401), "Check that CLERK_SECRET_KEY"),
        (FIREWALL, "firewall or proxy"),
    ],
    ids=["empty", "no list", "null", "401", "firewall"],
)
def test_secret_key_without_usable_keys_is_a_refusal(wire: Wire, answer: Response, text: str) -> None:
    wire.tamper = lambda request, response: answer if request.path == "/v1/jwks" else response
    assert text in refusal("reconcile_users", "--apply")
