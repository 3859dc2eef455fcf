"""Authentication through real requests: statements, logs, and settings."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.clerk.profiles import Source
from accounts.models import User
from accounts.sync import sync_user
from devclerk.fixtures import LocalClerk
from devclerk.tokens import ABSENT
from tests.accounts.profiles import profile
from tests.webhooks.deliveries import code_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
CANARY = "canary-3e9d"
APP = "https://app.example.test"


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the SQL statements of the block."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield found
    found.extend(query["sql"] for query in captured)


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


def test_value_that_cannot_be_stored_is_skipped_and_reported(me: Any, failures: list[dict[str, Any]]) -> None:
    response = me(claims={"first_name": "x" * 300, "last_name": "King"})
    assert (response.status_code, response.json()["last_name"]) == (200, "King")
    reason = {"source": "request", "reason": "unusable_field:first_name"}
    assert failures == [{"clerk_id": response.json()["clerk_id"], **reason}]


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
    with caplog.at_level(logging.INFO, logger="accounts.sign_in"):
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


# Several issuers


@pytest.mark.parametrize("is_list", [True, False])
def test_tokens_of_a_primary_and_a_satellite_domain_are_accepted(
    me: Any, clerk: LocalClerk, clerk_settings: Settings, *, is_list: bool
) -> None:
    satellite = "https://clerk.satellite.example"
    issuers = [clerk.issuer, satellite]
    clerk_settings.CLERK_ISSUER = issuers if is_list else ", ".join(issuers)
    for issuer in issuers:
        assert me(token=clerk.mint("ada", issuer=issuer)).status_code == 200
    refused = me(token=clerk.mint("ada", issuer="https://clerk.other.example"))
    assert (refused.status_code, code_of(refused)) == (401, "token_invalid_issuer")
    # One address gives the keys of all domains.
    assert clerk.key_requests == 1
