"""Authentication through real requests: statements, responses to failures, and settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.clerk.profiles import Source
from accounts.models import User
from accounts.sync import delete_user, sync_user
from devclerk.fixtures import LocalClerk
from devclerk.tokens import ABSENT, Fault
from tests.accounts.clerk.keyserver import dated, serving
from tests.accounts.profiles import profile
from tests.webhooks.trouble import address, trigger

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
Failures = list[dict[str, Any]]
CANARY = "canary-3e9d"
APP = "https://app.example.test"


@pytest.fixture
def me(clerk: LocalClerk) -> Callable[..., Any]:
    """Request `/api/v1/me` with `token`, or with a new token of a user."""

    def send(user: Any = "ada", *, token: str | None = None, **options: Any) -> Any:
        bearer = token or clerk.mint(user, **options)
        return Client(headers={"Authorization": f"Bearer {bearer}"}).get("/api/v1/me")

    return send


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL statements of the block."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found.extend(query["sql"] for query in captured)


def code_of(response: Any) -> str:
    return str(response.json()["errors"][0]["code"])


# Statements


def test_warm_request_is_one_statement_without_network(me: Any, clerk: LocalClerk) -> None:
    token = clerk.mint("ada")
    me(token=token)
    fetched, called = clerk.key_requests, clerk.api_requests
    with statements() as found:
        assert me(token=token).status_code == 200
    assert len(found) == 1
    assert found[0].startswith("SELECT")
    assert (clerk.key_requests, clerk.api_requests) == (fetched, called)


def test_first_request_creates_the_row(me: Any, clerk: LocalClerk) -> None:
    first, second = me().json(), me().json()
    assert first == second
    row = User.objects.get()
    assert (str(row.pk), row.clerk_id) == (first["id"], clerk.person("ada").id)
    assert clerk.api_requests == []


def test_changed_claims_are_stored(me: Any) -> None:
    me()
    assert me(claims={"first_name": "Augusta"}, age=-1).json()["first_name"] == "Augusta"
    assert User.objects.get().first_name == "Augusta"


def test_older_claims_take_one_more_select_and_no_lock(me: Any, clerk: LocalClerk) -> None:
    old = clerk.mint("ada", age=30, claims={"first_name": "Old"})
    me()
    with statements() as found:
        assert me(token=old).json()["first_name"] == "Ada"
    assert [sql.split()[0] for sql in found] == ["SELECT", "SELECT"]
    assert "advisory" not in "".join(found)


def test_null_claims_clear_values_from_claims(me: Any, clerk: LocalClerk) -> None:
    me()
    names = ("email", "email_verified", "first_name", "last_name", "image_url")
    answer = me(claims=dict.fromkeys(names, None), age=-1)
    assert answer.json()["first_name"] == ""
    with statements() as found:
        assert me(claims=dict.fromkeys(names, ABSENT)).status_code == 200
    assert len(found) == 1


def test_null_claims_of_empty_fields_are_one_statement(me: Any, clerk: LocalClerk) -> None:
    nulls = dict.fromkeys(("email", "email_verified", "first_name", "last_name", "image_url"))
    token = clerk.mint(clerk.new_person(), claims=nulls)
    assert me(token=token).json()["email"] is None
    with statements() as found:
        assert me(token=token).status_code == 200
    assert len(found) == 1


def test_null_claims_keep_values_from_webhooks(me: Any, clerk: LocalClerk) -> None:
    values: dict[str, Any] = {"first_name": "Augusta", "email": "a@b.test", "email_verified": True}
    a_minute_ago = int((time.time() - 60) * 1000)
    sync_user(profile(Source.WEBHOOK, a_minute_ago, clerk_id=clerk.person("ada").id, **values))
    with statements() as found:
        body = me(claims=dict.fromkeys(values) | dict.fromkeys(("last_name", "image_url"), ABSENT)).json()
    assert {name: body[name] for name in values} == values
    assert [sql.split()[0] for sql in found] == ["SELECT", "SELECT"]


def test_value_that_cannot_be_stored_is_skipped_and_reported(me: Any, failures: Failures) -> None:
    response = me(claims={"first_name": "x" * 300, "last_name": "King"})
    assert (response.status_code, response.json()["last_name"]) == (200, "King")
    reason = {"source": "request", "reason": "unusable_field:first_name"}
    assert failures == [{"clerk_id": response.json()["clerk_id"], **reason}]


# Failures


@pytest.mark.parametrize(
    ("header", "code", "challenge"),
    [
        (None, "not_authenticated", "Bearer"),
        ("", "not_authenticated", "Bearer"),
        ("Basic YTpi", "not_authenticated", "Bearer"),
        ("Token abc", "not_authenticated", "Bearer"),
        ("Bearer", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer ", "token_malformed", 'Bearer error="invalid_token"'),
        ("bearer a.b", "token_malformed", 'Bearer error="invalid_token"'),
        ("BEARER a b", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer a.b.c, Bearer d", "token_malformed", 'Bearer error="invalid_token"'),
        ("Bearer ak_123", "token_type_mismatch", 'Bearer error="invalid_token"'),
    ],
)
def test_header_without_a_valid_token_gets_401(header: str | None, code: str, challenge: str) -> None:
    client = Client() if header is None else Client(headers={"Authorization": header})
    response = client.get("/api/v1/me")
    assert (response.status_code, code_of(response)) == (401, code)
    assert response["WWW-Authenticate"] == challenge
    assert not User.objects.exists()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_scheme_is_case_insensitive(clerk: LocalClerk, scheme: str) -> None:
    client = Client(headers={"Authorization": f"{scheme}  {clerk.mint('ada')}"})
    assert client.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("change", [{"is_active": False}, {"banned": True}])
def test_blocked_user_gets_403(me: Any, change: dict[str, bool]) -> None:
    me()
    User.objects.update(**change)
    assert (me().status_code, code_of(me())) == (403, "user_inactive")


def test_user_deleted_in_clerk_gets_401(me: Any, clerk: LocalClerk) -> None:
    token = clerk.mint("ada")
    me(token=token)
    delete_user(clerk.person("ada").id, at=1_900_000_000_000)
    response = me(token=token)
    assert (response.status_code, code_of(response)) == (401, "user_deleted")
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert not User.objects.live().exists()


def test_missing_keys_are_503(me: Any, clerk: LocalClerk, failures: Failures) -> None:
    clerk.keys_down()
    response = me()
    assert (response.status_code, code_of(response)) == (503, "keys_unavailable")
    assert int(response["Retry-After"]) > 0
    assert failures[0] == {"clerk_id": None, "source": "request", "reason": "keys_unavailable"}


def test_undecided_unknown_key_is_503_and_no_failure(
    me: Any, clerk: LocalClerk, failures: Failures, decisions: Failures
) -> None:
    me()
    clerk.keys_down()
    del decisions[:]
    response = me(fault=Fault.UNKNOWN_KID)
    assert (response.status_code, code_of(response)) == (503, "keys_unavailable")
    assert int(response["Retry-After"]) > 0
    assert failures == []
    assert decisions == [{"outcome": "keys_unavailable", "is_unknown_key": True}]


def test_unknown_key_that_a_fetch_has_not_brought_is_401(
    me: Any, failures: Failures, decisions: Failures
) -> None:
    response = me(fault=Fault.UNKNOWN_KID)
    assert (response.status_code, code_of(response)) == (401, "token_unknown_key")
    assert failures == []
    assert decisions == [{"outcome": "token_unknown_key"}]


@pytest.mark.parametrize("ahead", [30, -90])
def test_wrong_clock_is_503_for_a_token_that_is_valid_by_clerks_clock(
    me: Any, clerk: LocalClerk, clerk_settings: Settings, failures: Failures, ahead: float
) -> None:
    keys = clerk.emulator.keyring.jwks()
    with serving(dated(keys, ahead=ahead)) as server:
        clerk_settings.CLERK_JWKS_URL = server.url
        me(fault=Fault.UNKNOWN_KID)
        assert me(now=time.time() + ahead).status_code == 401  # after one fetch nothing is known
        me(fault=Fault.UNKNOWN_KID)
        response = me(now=time.time() + ahead)
        assert (response.status_code, code_of(response)) == (503, "sync_unavailable")
        assert int(response["Retry-After"]) > 0
        expired = me(now=time.time() + ahead - 600)
        assert (expired.status_code, code_of(expired)) == (401, "token_expired")
    assert failures == []


def test_cached_keys_serve_during_an_outage_of_the_jwks(me: Any, clerk: LocalClerk) -> None:
    me()
    clerk.keys_down()
    assert me().status_code == 200


@pytest.mark.postgresql
def test_failed_write_without_a_row_is_503(me: Any, failures: Failures) -> None:
    with trigger("RAISE EXCEPTION 'no'"):
        response = me()
    assert (response.status_code, code_of(response)) == (503, "sync_unavailable")
    assert int(response["Retry-After"]) > 0
    assert [failure["reason"] for failure in failures] == ["database_error"]
    assert me().status_code == 200


@pytest.mark.postgresql
def test_failed_write_continues_with_the_stored_row(me: Any, failures: Failures) -> None:
    me()
    with trigger("RAISE EXCEPTION 'no'"):
        response = me(claims={"first_name": "Augusta"}, age=-1)
    assert (response.status_code, response.json()["first_name"]) == (200, "Ada")
    assert [failure["reason"] for failure in failures] == ["database_error"]


@pytest.mark.postgresql
def test_lock_timeout_has_its_own_reason(me: Any, failures: Failures) -> None:
    with trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'lock_not_available'"):
        assert me().status_code == 503
    assert [failure["reason"] for failure in failures] == ["lock_timeout"]


@pytest.mark.postgresql
@pytest.mark.own_session
def test_dead_connection_is_replaced_without_a_failure(
    me: Any, clerk: LocalClerk, failures: Failures
) -> None:
    token = clerk.mint("ada")
    me(token=token)
    for bearer in (token, clerk.mint("grace")):
        connection.ensure_connection()
        with psycopg.connect(address(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        assert me(token=bearer).status_code == 200
    assert failures == []


# Logs and error details


def test_logs_contain_neither_token_nor_personal_data(
    me: Any, clerk: LocalClerk, caplog: pytest.LogCaptureFixture
) -> None:
    claims = {"email": f"{CANARY}@example.test", "first_name": CANARY, "last_name": CANARY * 40}
    with caplog.at_level(logging.DEBUG):
        token = clerk.mint("ada", claims=claims)
        assert me(token=token).status_code == 200
        assert me(token=token[:-5] + "AAAAA").status_code == 401
        assert me(fault="expired", claims=claims).status_code == 401
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    text = "".join(repr(vars(record)) for record in lines)
    assert "token_expired" in text
    assert CANARY not in text
    assert token.split(".")[1] not in text


def test_expired_token_is_logged_with_the_seconds(me: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="accounts"):
        me(fault="expired")
    (record,) = [record for record in caplog.records if record.name == "accounts.sign_in"]
    assert vars(record)["why"].startswith("expired 35")


def test_response_omits_the_seconds(me: Any) -> None:
    assert "35" not in me(fault="expired").json()["errors"][0]["detail"]


# Settings


def test_settings_are_read_at_each_request(me: Any, settings: Settings) -> None:
    settings.CLERK_AUTHORIZED_PARTIES = (APP,)
    assert me(azp=APP).status_code == 200
    settings.CLERK_AUTHORIZED_PARTIES = ("https://other.example.test",)
    assert code_of(me(azp=APP)) == "token_invalid_authorized_party"
    settings.CLERK_AUTHORIZED_PARTIES = None
    assert me(azp=APP).status_code == 200
    settings.CLERK_AUDIENCE = "api"
    assert code_of(me()) == "token_invalid_audience"


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:3000"])
def test_every_loopback_origin_is_an_authorized_party_in_debug_alone(
    me: Any, clerk: LocalClerk, settings: Settings, origin: str
) -> None:
    settings.CLERK_JWT_KEY = clerk.pem  # an address of the keys on loopback is for debug alone, too
    settings.CLERK_AUTHORIZED_PARTIES = (APP,)
    assert me(azp=origin).status_code == 200
    assert code_of(me(azp="https://other.example.test")) == "token_invalid_authorized_party"
    settings.DEBUG = False
    assert code_of(me(azp=origin)) == "token_invalid_authorized_party"
    assert me(azp=APP).status_code == 200


def test_camel_case_claims_are_accepted(me: Any, clerk: LocalClerk) -> None:
    claims = {"firstName": "Grace", "lastName": "Hopper", "imageUrl": "https://img.example.test/g"}
    body = me("user_2new", claims=claims).json()
    assert (body["first_name"], body["last_name"], body["image_url"]) == tuple(claims.values())
    assert body["email"] is None


def test_pem_keys_need_no_network(me: Any, clerk: LocalClerk, settings: Settings) -> None:
    settings.CLERK_JWT_KEY = clerk.pem.replace("\n", "\\n")
    assert me().status_code == 200
    assert clerk.key_requests == 0
