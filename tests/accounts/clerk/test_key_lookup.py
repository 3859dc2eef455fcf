"""Key store: keys by id, from a real server."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.clerk.keys import KeysStatus, KeyStore
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY
from tests.accounts.clerk.keyserver import KeyServer, answer, document
from tests.clock import Clock


def test_key_is_found_by_its_exact_kid(store: KeyStore, server: KeyServer, keyring: Keyring) -> None:
    assert len(store.get_keys(keyring.kid)) == 1
    assert store.get_keys(keyring.kid.lower() + "x") == ()
    assert store.get_keys(None) == ()
    assert server.asked == 2  # the first need, and the unknown kid


def test_known_keys_are_served_without_another_fetch(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    for _ in range(1_000):
        assert store.get_keys(keyring.kid)
    assert server.asked == 1


def test_parallel_first_requests_share_one_fetch(server: KeyServer, keyring: Keyring) -> None:
    server.behave = document(keyring.jwks(), after=0.2)
    store = KeyStore(server.url, allow_http=True)
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(store.get_keys, [keyring.kid] * 64))
    assert all(found)
    assert server.asked == 1


def test_withdrawn_key_is_refused_after_the_next_fetch(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    old = keyring.kid
    store.get_keys(old)
    store.get_keys(keyring.rotate())
    assert store.get_keys(old) == ()


def test_bad_signature_causes_no_fetch_and_removes_no_key(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    verifier = SessionVerifier(store, ISSUER, (PARTY,))
    forged = Keyring().mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": keyring.kid})
    good = keyring.mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW)
    verifier.verify(good, now=NOW)
    for _ in range(100):
        with pytest.raises(InvalidToken, match="token_invalid_signature"):
            verifier.verify(forged, now=NOW)
    verifier.verify(good, now=NOW)
    assert server.asked == 1


@pytest.mark.parametrize("kid", [None, "", 5, ["ins"], {}])
def test_token_without_a_usable_kid_causes_no_fetch(server: KeyServer, kid: object) -> None:
    server.behave = answer(b"", status=503)
    assert KeyStore(server.url, allow_http=True).get_keys(kid) == ()
    assert server.asked == 0


def test_unusable_entries_hide_no_usable_key(
    server: KeyServer, store: KeyStore, keyring: Keyring, clock: Clock
) -> None:
    good = keyring.jwks()["keys"]
    bad = [
        {**good[0], "kid": "enc", "use": "enc"},
        {**good[0], "kid": "ps", "alg": "PS256"},
        {**good[0], "kid": "ops", "key_ops": ["sign"]},
        {**good[0], "kid": "n", "n": "###"},
        {**good[0], "kid": "short", "n": "AQAB"},
        {**good[0], "kid": "e", "e": "AQ"},
        {**good[0], "kid": ["list"]},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        None,
    ]
    server.behave = document({"keys": [*bad, *good]})
    assert store.get_keys(keyring.kid)
    for kid in ("enc", "ps", "ops", "n", "short", "e", "secret"):
        clock.now += 10
        assert store.get_keys(kid) == ()


def test_first_of_two_keys_with_one_kid_is_used(server: KeyServer, store: KeyStore, keyring: Keyring) -> None:
    (key,) = keyring.jwks()["keys"]
    (other,) = Keyring().jwks()["keys"]
    server.behave = document({"keys": [key, {**other, "kid": key["kid"]}]})
    (found,) = store.get_keys(keyring.kid)
    assert found.public_numbers().n == int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")


def test_store_refuses_an_unsafe_address() -> None:
    with pytest.raises(ValueError, match="https"):
        KeyStore("http://127.0.0.1/jwks")
    with pytest.raises(ValueError, match="https"):
        KeyStore("http://clerk.example.test/jwks", allow_http=True)
    assert KeyStore("https://clerk.example.test/jwks").status() == KeysStatus(mode="jwks")
