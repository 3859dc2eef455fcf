"""Key store: a JWKS address that hangs, sends slowly, breaks off or sends no keys."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from accounts.clerk.keys import KeyStore, KeysUnavailable
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.key_stores import key_threads
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, answer, document
from tests.clock import Clock
from tests.waiting import wait_until

HOUR = 3600.0


USELESS: list[tuple[str, Behaviour]] = [
    ("a hanging server", keyserver.hang),
    ("a body byte by byte", keyserver.drip_body),
    ("a head byte by byte", keyserver.drip_headers),
    ("64 MB", keyserver.flood),
    ("a connection that breaks off", keyserver.reset),
    ("HTML", answer(b"<html>please sign in</html>")),
    ("no JSON", answer(b"{")),
    ("no UTF-8", answer(b"\xff\xfe")),
    ("JSON as deep as the stack", answer(b"[" * 60_000)),
    ("a list", document([])),
    ("no keys", document({"keys": []})),
    ("keys that are none", document({"keys": [None, 1, "x", {}, {"kty": "EC", "kid": "a"}]})),
    ("404", answer(b"{}", status=404)),
    ("500", answer(b"{}", status=500)),
    ("a redirect", answer(b"", status=302, Location="https://clerk.example.test/jwks")),
    ("204", answer(b"", status=204)),
]


@pytest.mark.parametrize("behave", [row[1] for row in USELESS], ids=[row[0] for row in USELESS])
def test_unusable_jwks_without_held_keys_is_keys_unavailable_in_time(
    server: KeyServer, keyring: Keyring, behave: Behaviour
) -> None:
    server.behave = behave
    store = KeyStore(server.url, allow_http=True)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable) as caught:
        store.get_keys(keyring.kid)
    assert time.monotonic() - began < 4  # the server takes ten
    assert caught.value.retry_after > 0
    wait_until(lambda: store.status().fetches == {"failed": 1})
    assert store.status().last_error
    assert not store.status().held
    # No request fetches again within the next seconds.
    with pytest.raises(KeysUnavailable):
        store.get_keys(keyring.kid)
    assert server.asked == 1


@pytest.mark.parametrize(
    "behave", [keyserver.hang, keyserver.drip_body, keyserver.drip_headers], ids=["hang", "body", "head"]
)
def test_timed_out_fetch_leaves_no_thread(server: KeyServer, keyring: Keyring, behave: Behaviour) -> None:
    server.behave = behave
    before = key_threads()
    with pytest.raises(KeysUnavailable):
        KeyStore(server.url, allow_http=True).get_keys(keyring.kid)
    wait_until(lambda: key_threads() <= before)


def test_stuck_name_lookup_is_given_up_and_a_later_fetch_succeeds(
    store: KeyStore, keyring: Keyring, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_threads()
    resolver_answers, resolve = threading.Event(), socket.getaddrinfo

    def stuck(*args: Any, **kwargs: Any) -> Any:
        resolver_answers.wait(20)
        return resolve(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", stuck)
        began = time.monotonic()
        with pytest.raises(KeysUnavailable):
            store.get_keys(keyring.kid)
        assert time.monotonic() - began < 2.5
        time.sleep(0.1)
        began = time.monotonic()
        with pytest.raises(KeysUnavailable):
            store.get_keys(keyring.kid)
        assert time.monotonic() - began < 0.5
        assert (store.status().last_error, store.status().fetches) == ("timeout", {"failed": 1})
    clock.now += 5
    assert store.get_keys(keyring.kid)
    resolver_answers.set()
    wait_until(lambda: key_threads() <= before)
    assert (store.status().last_error, store.status().fetches) == (None, {"failed": 1, "ok": 1})


@pytest.mark.parametrize("behave", [row[1] for row in USELESS[4:]], ids=[row[0] for row in USELESS[4:]])
def test_failed_fetch_keeps_the_old_keys(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock, behave: Behaviour
) -> None:
    store.get_keys(keyring.kid)
    server.behave = behave
    clock.now += 700
    assert store.get_keys(keyring.kid)
    wait_until(lambda: store.status().fetches.get("failed") == 1)
    assert store.get_keys(keyring.kid)
    assert store.status().age_seconds == 700


def test_known_keys_are_served_at_once_while_the_jwks_hangs(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    server.behave = keyserver.hang
    for _ in range(60):  # half an hour
        clock.now += 30
        began = time.monotonic()
        assert store.get_keys(keyring.kid)
        assert time.monotonic() - began < 1  # the fetch takes two
    wait_until(lambda: server.asked >= 2)


def test_keys_are_used_for_24_hours_without_a_successful_fetch(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    server.behave = answer(b"", status=503)
    clock.now += 24 * HOUR
    assert store.get_keys(keyring.kid)
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        store.get_keys(keyring.kid)


def test_requests_without_held_keys_fetch_once_in_five_seconds(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    healthy, server.behave = server.behave, answer(b"", status=503)
    for after, asked in ((0, 1), (4.9, 1), (0.2, 2)):
        clock.now += after
        with pytest.raises(KeysUnavailable):
            store.get_keys(keyring.kid)
        assert server.asked == asked
    server.behave = healthy
    clock.now += 5
    assert store.get_keys(keyring.kid)


def test_process_without_free_threads_uses_held_keys_and_recovers(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    old = threading.stack_size(2**47)  # more than there are addresses
    try:
        clock.now += 700
        assert store.get_keys(keyring.kid)
        with pytest.raises(KeysUnavailable):
            store.get_keys("ins_unknown")
        assert store.status().last_error == "no_thread"
    finally:
        threading.stack_size(old)
    assert len(store.get_keys(keyring.rotate())) == 1
