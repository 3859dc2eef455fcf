"""Tokens whose signature is refused, and what the key source counts."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint
from tests.accounts.clerk.refusals import (
    MALFORMED,
    SIGNATURE,
    Build,
    encoded,
    refusal,
)


def test_changed_payload_is_an_invalid_signature(verifier: Build, mint: Mint) -> None:
    header, _, signature = mint().split(".")
    payload = encoded(
        {"iss": ISSUER, "sub": "user_eve", "sid": "s", "iat": NOW, "exp": NOW + 60, "azp": PARTY}
    )
    assert refusal(verifier(), f"{header}.{payload}.{signature}") == SIGNATURE


def test_signature_of_another_key_with_our_kid_is_invalid(verifier: Build, keyring: Keyring) -> None:
    other = Keyring()
    token = other.mint("user_ada", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": keyring.kid})
    assert refusal(verifier(), token) == SIGNATURE


@pytest.mark.parametrize("parameter", ["jwk", "jku", "x5c", "x5u"])
def test_key_in_the_token_is_never_used(
    verifier: Build, keyring: Keyring, keys: FixedKeys, parameter: str
) -> None:
    other = Keyring()
    own = {
        "jwk": other.jwks()["keys"][0],
        "jku": "https://evil.example.test/jwks",
        "x5c": ["".join(other.pem.splitlines()[1:-1])],
        "x5u": "https://evil.example.test/pem",
    }
    header = {"kid": keyring.kid, parameter: own[parameter]}
    token = other.mint("user_ada", issuer=ISSUER, azp=PARTY, now=NOW, header=header)
    assert refusal(verifier(), token) == SIGNATURE
    assert keys.asked == 1


@pytest.mark.parametrize(
    "change", [lambda s: s[:-6], lambda s: s[:-4] + "AAAA", lambda _: encoded(b"\0" * 256)]
)
def test_changed_signature_is_invalid(verifier: Build, mint: Mint, change: Callable[[str], str]) -> None:
    signed, _, signature = mint().rpartition(".")
    assert refusal(verifier(), f"{signed}.{change(signature)}") == SIGNATURE


def test_second_encoding_of_a_signature_is_malformed(verifier: Build, mint: Mint) -> None:
    # 256 bytes leave four unused bits in the last letter: another letter would decode to the same bytes.
    signed, _, signature = mint().rpartition(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(last) ^ 1]
    assert base64.urlsafe_b64decode(f"{signature[:-1]}{other}==") == base64.urlsafe_b64decode(
        f"{signature}=="
    )
    assert refusal(verifier(), f"{signed}.{signature[:-1]}{other}") == MALFORMED


def test_no_claim_is_checked_before_the_signature(verifier: Build, mint: Mint) -> None:
    header, _, signature = mint().split(".")
    payloads: list[object] = [{}, {"iss": "x"}, {"exp": 0}, []]
    for payload in payloads:
        assert refusal(verifier(), f"{header}.{encoded(payload)}.{signature}") == SIGNATURE


def test_key_source_counts_bad_signatures_of_our_issuer_only(
    verifier: Build, mint: Mint, keys: FixedKeys, keyring: Keyring
) -> None:
    other = Keyring()
    head = {"alg": "RS256", "kid": keyring.kid}
    verifier().verify(mint(), now=NOW)
    assert keys.results == [True]
    assert refusal(verifier(), other.sign(head, {"iss": ISSUER})) == SIGNATURE
    assert keys.results == [True, False]
    for payload in (b"no JSON", {"iss": "https://clerk.other.test"}, {}):
        assert refusal(verifier(), other.sign(head, payload)) == SIGNATURE
    assert keys.results == [True, False]
