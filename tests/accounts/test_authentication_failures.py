"""Refused requests, and faults of the keys and the database: which status, code and failure they lead to."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from accounts.sync import delete_user
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from tests.accounts.clerk.keyserver import dated, serving
from tests.webhooks.deliveries import code_of
from tests.webhooks.trouble import address, trigger

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
Failures = list[dict[str, Any]]


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
