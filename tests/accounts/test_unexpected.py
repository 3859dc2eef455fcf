"""Unexpected exceptions, through real requests: 503, logged by class and recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.test import Client
from pytest_django import Settings

from accounts.clerk.keys import PemKeys
from accounts.conf import get_key_source
from accounts.db import after_commit
from accounts.models import User
from accounts.signals import authentication_decided, sync_failed, user_synced
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
CANARY = "canary-e411"
AFTER_THE_SIGNATURE = "Unexpected error after a signature was verified"
ANYWHERE_ELSE = "Unexpected error during authentication"
UNEXPECTED = {"clerk_id": None, "source": "request", "reason": "unexpected_error"}
Ask = Callable[[], Any]
Calls = list[dict[str, Any]]


@pytest.fixture
def ask(clerk: LocalClerk) -> Ask:
    """Send one request of `user_ada`."""

    def send() -> Any:
        client = Client(raise_request_exception=False)
        return client.get("/api/v1/me", headers={"Authorization": f"Bearer {clerk.mint('user_ada')}"})

    return send


@contextmanager
def receiver_that_raises(error: Exception) -> Iterator[None]:
    """Connect a receiver that raises when a user is saved."""

    def raise_error(sender: object, **_: object) -> None:
        raise error

    post_save.connect(raise_error, sender=User)
    try:
        yield
    finally:
        post_save.disconnect(raise_error, sender=User)


def expect_unavailable(response: Any, code: str) -> None:
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, code)
    assert int(response["Retry-After"]) > 0
    assert "WWW-Authenticate" not in response.headers


def errors(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return message and class of each logged error, after checking that no text or traceback is logged."""
    lines = [record for record in caplog.records if "accounts." in record.name]
    assert CANARY not in "".join(repr(vars(record)) for record in caplog.records)
    assert not any(record.exc_info for record in lines)
    found = [record for record in lines if record.levelno == logging.ERROR]
    assert all(":" in vars(record)["place"] for record in found)
    return [(record.getMessage(), vars(record)["error"]) for record in found]


def test_unreadable_key_setting_is_503(
    ask: Ask, settings: Settings, failures: Calls, decisions: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CLERK_JWT_KEY = f"no PEM {CANARY}"
    expect_unavailable(ask(), "keys_unavailable")
    assert failures == [UNEXPECTED]
    assert decisions == [{"outcome": "keys_unavailable"}]
    # Logged by authentication and by the metrics, which read the state of the keys.
    assert set(errors(caplog)) == {("The key source failed", "ValueError")}


def test_broken_key_source_is_503(
    ask: Ask, clerk: LocalClerk, settings: Settings, failures: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CLERK_JWT_KEY = clerk.pem
    source = get_key_source()
    assert isinstance(source, PemKeys)
    source._keys = None  # type: ignore[assignment]
    expect_unavailable(ask(), "keys_unavailable")
    assert failures == [UNEXPECTED]
    assert errors(caplog) == [("The key source failed", "TypeError")]


@pytest.mark.parametrize(
    ("name", "value", "logged"),
    [
        ("CLERK_CLOCK_SKEW_SECONDS", CANARY, (AFTER_THE_SIGNATURE, "TypeError")),
        ("CLERK_AUTHORIZED_PARTIES", 5, (AFTER_THE_SIGNATURE, "TypeError")),
        ("CLERK_CLAIMS", 5, (ANYWHERE_ELSE, "AttributeError")),
        ("CLERK_CLAIMS", CANARY, (ANYWHERE_ELSE, "ValueError")),
    ],
)
def test_wrong_setting_is_503(
    ask: Ask,
    settings: Settings,
    failures: Calls,
    decisions: Calls,
    caplog: pytest.LogCaptureFixture,
    *,
    name: str,
    value: object,
    logged: tuple[str, str],
) -> None:
    setattr(settings, name, value)
    expect_unavailable(ask(), "sync_unavailable")
    assert [failure | {"clerk_id": None} for failure in failures] == [UNEXPECTED]
    assert decisions == [{"outcome": "sync_unavailable"}]
    assert errors(caplog) == [logged]
    assert not User.objects.exists()


def test_receiver_that_raises_is_503_and_leaves_no_row(
    ask: Ask, failures: Calls, decisions: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    with receiver_that_raises(LookupError(CANARY)):
        expect_unavailable(ask(), "sync_unavailable")
    assert failures == [UNEXPECTED | {"clerk_id": "user_ada"}]
    assert decisions == [{"outcome": "sync_unavailable"}]
    assert errors(caplog) == [(ANYWHERE_ELSE, "LookupError")]
    assert not User.objects.exists()
    assert ask().status_code == 200


class Receiver:
    """A receiver without a `__qualname__`, which Django wants for its log line; as a `partial` is."""

    def __call__(self, **_: object) -> None:
        raise LookupError(CANARY)


@pytest.mark.parametrize("signal", [user_synced, authentication_decided, sync_failed])
def test_receiver_that_raises_changes_no_answer_and_stops_no_other(
    ask: Ask, failures: Calls, caplog: pytest.LogCaptureFixture, settings: Settings, signal: Signal
) -> None:
    if signal is sync_failed:
        settings.CLERK_CLAIMS = CANARY
    receiver = Receiver()
    signal.connect(receiver)
    try:
        response = ask()
    finally:
        signal.disconnect(receiver)
    assert response.status_code == (503 if signal is sync_failed else 200)
    assert ("A receiver of a signal failed", "LookupError") in errors(caplog)
    assert failures == ([{**UNEXPECTED, "clerk_id": "user_ada"}] if signal is sync_failed else [])


def test_error_after_the_commit_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_text: str) -> None:
        raise LookupError(CANARY)

    with transaction.atomic():
        after_commit(partial(fail, CANARY))
    after_commit(partial(fail, CANARY))
    assert errors(caplog) == [("Unexpected error after a commit", "LookupError")] * 2


def test_fault_of_a_token_is_not_recorded(ask: Ask, clerk: LocalClerk, failures: Calls) -> None:
    client = Client(headers={"Authorization": f"Bearer {clerk.mint('user_ada', fault='expired')}"})
    assert client.get("/api/v1/me").status_code == 401
    assert failures == []


def test_unexpected_error_is_recorded_once_for_all_users(clerk: LocalClerk, settings: Settings) -> None:
    users = UserFactory.create_batch(2)
    settings.CLERK_CLAIMS = 5
    for user in users:
        token = clerk.mint(user.clerk_id or "")
        assert Client(headers={"Authorization": f"Bearer {token}"}).get("/api/v1/me").status_code == 503
    failure = SyncFailure.objects.get()
    assert (failure.clerk_id, failure.source, failure.reason) == (None, "request", "unexpected_error")
