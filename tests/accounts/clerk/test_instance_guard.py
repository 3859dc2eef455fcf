"""The guard of the instance: what it compares with, and how long it keeps a confirmation."""

from __future__ import annotations

from io import StringIO

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.core.management import call_command
from pytest_django import Settings
from werkzeug import Response

from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.instance import InstanceGuard, InstanceUnconfirmed, compare_instances
from accounts.clerk.jwks import FetchFailed, keys_of_pem
from accounts.conf import get_clerk_api
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from tests.accounts.clerk.instances import (
    jwks_calls,
    serve_keys,
)
from tests.accounts.wire import Wire
from tests.clock import Clock

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


@pytest.mark.parametrize("status", [500, 503])
def test_failing_api_confirms_nothing(clerk: LocalClerk, wire: Wire, status: int) -> None:
    wire.tamper = lambda _request, _response: Response(status=status)
    api = ClerkAPI(clerk.secret_key, base_url=wire.url, patience=0)
    with pytest.raises(ClerkAPIError):
        InstanceGuard(lambda: keys_of_pem(clerk.pem)).confirm(api)


def test_no_verifying_key_confirms_nothing(clerk: LocalClerk) -> None:
    with pytest.raises(InstanceUnconfirmed, match="There are no keys that verify tokens"):
        compare_instances(ClerkAPI(clerk.secret_key, base_url=clerk.api_url), verifying_keys=())


def test_malformed_pem_confirms_nothing(clerk: LocalClerk) -> None:
    guard = InstanceGuard(lambda: keys_of_pem("no key"))
    with pytest.raises(InstanceUnconfirmed, match="no PEM public key"):
        guard.confirm(ClerkAPI(clerk.secret_key, base_url=clerk.api_url))


def test_confirmation_is_kept_for_five_minutes_where_accepted(clerk: LocalClerk, wire: Wire) -> None:
    clock = Clock()
    guard = InstanceGuard(lambda: keys_of_pem(clerk.pem), clock=clock)
    api = ClerkAPI(clerk.secret_key, base_url=wire.url)
    for at, calls in [(0, 1), (0, 1), (299.9, 1), (300, 2), (301, 2), (600, 3)]:
        clock.now = at
        guard.confirm(api, accept_kept=True)
        assert jwks_calls(wire) == calls, at
    guard.confirm(api)
    assert jwks_calls(wire) == 4


@pytest.mark.parametrize("refusal", ["another instance", "cannot be read", "lists no usable key"])
def test_refusal_is_never_kept_and_ends_a_confirmation(clerk: LocalClerk, wire: Wire, refusal: str) -> None:
    held: list[RSAPublicKey] = [*keys_of_pem(clerk.pem)]

    def verifying_keys() -> list[RSAPublicKey]:
        if refusal == "cannot be read" and not held:
            raise FetchFailed("timeout")
        return held or [*keys_of_pem(Keyring().pem)]

    guard = InstanceGuard(verifying_keys, clock=Clock())
    api = ClerkAPI(clerk.secret_key, base_url=wire.url)
    guard.confirm(api, accept_kept=True)
    held.clear()
    if refusal == "lists no usable key":
        serve_keys(wire)
    with pytest.raises(InstanceUnconfirmed, match=refusal):
        guard.confirm(api)
    with pytest.raises(InstanceUnconfirmed, match=refusal):
        guard.confirm(api, accept_kept=True)
    held.extend(keys_of_pem(clerk.pem))
    wire.tamper = lambda _request, response: response
    guard.confirm(api, accept_kept=True)


def test_changed_setting_ends_a_confirmation(other: LocalClerk, wire: Wire, clerk_settings: Settings) -> None:
    for _ in range(3):
        get_clerk_api(accept_kept=True)
    assert jwks_calls(wire) == 1
    clerk_settings.CLERK_JWT_KEY = other.pem
    with pytest.raises(InstanceUnconfirmed, match="another instance"):
        get_clerk_api(accept_kept=True)


def test_command_never_uses_a_kept_confirmation(wire: Wire) -> None:
    get_clerk_api(accept_kept=True)
    call_command("backfill_users", "--dry-run", stdout=StringIO())
    assert jwks_calls(wire) == 2
