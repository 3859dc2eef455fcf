"""Texts and payloads that are no token, and random ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.jws import MAX_TOKEN_LENGTH
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint
from tests.accounts.clerk.refusals import (
    MALFORMED,
    TYPE,
    Build,
    encoded,
    refusal,
)

_KEYRING = Keyring()

TWICE = b'{"alg":"none","alg":"RS256"}'
TEXTS = [
    ("nothing", "", MALFORMED),
    ("one part", "abc", MALFORMED),
    ("two parts", "e30.e30", MALFORMED),
    ("four parts", "e30.e30.e30.e30", MALFORMED),
    ("five parts, as if encrypted", "e30.e30.e30.e30.e30", MALFORMED),
    ("empty parts", "..", MALFORMED),
    ("letters that base64 does not have", "a+/=.e30.e30", MALFORMED),
    ("a blank inside", "e3 0.e30.e30", MALFORMED),
    ("a line end", "e30.e30.e30\n", MALFORMED),
    ("letters beyond ASCII", "é30.e30.e30", MALFORMED),
    ("digits beyond ASCII", "\u0661.e30.e30", MALFORMED),
    ("half a surrogate pair", "e30.\ud800.e30", MALFORMED),
    ("padding", "e30=.e30.e30", MALFORMED),
    ("a length that base64 cannot have", "e30aa.e30.e30", MALFORMED),
    ("a header that is no object", f"{encoded([])}.e30.e30", MALFORMED),
    ("a header that is no JSON", f"{encoded(b'no')}.e30.e30", MALFORMED),
    ("a header that is no UTF-8", f"{encoded(bytes([255, 254]))}.e30.e30", MALFORMED),
    ("a name twice in the header", f"{encoded(TWICE)}.e30.e30", MALFORMED),
    ("a header as deep as the stack", f"{encoded(b'[' * 3000)}.e30.e30", MALFORMED),
    ("one character too long", "a" * (MAX_TOKEN_LENGTH + 1), MALFORMED),
    ("a megabyte", "a." * 500_000, MALFORMED),
    ("a machine's opaque token", "mt_abc", TYPE),
    ("a machine's other opaque token", "m2m_abc", TYPE),
    ("an OAuth token", "oat_abc", TYPE),
    ("an API key", "ak_abc", TYPE),
]


@pytest.mark.parametrize(("text", "code"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_text_is_refused_with_its_code(verifier: Build, keys: FixedKeys, text: str, code: str) -> None:
    assert refusal(verifier(), text) == code
    assert keys.asked == 0


@pytest.mark.parametrize("thing", [None, 5, b"e30.e30.e30", ["e30"], {}])
def test_token_that_is_no_text_is_malformed(verifier: Build, thing: object) -> None:
    assert refusal(verifier(), thing) == MALFORMED


SIGNED = [
    ("no JSON", b"no"),
    ("no object", b"[]"),
    ("no UTF-8", b'{"sub":"\xff"}'),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
    ("a name twice", b'{"sub":"user_a","sub":"user_b"}'),
    ("a name twice, deeper", b'{"act":{"sub":"a","sub":"b"}}'),
    ("NaN", b'{"exp":NaN}'),
    ("Infinity", b'{"exp":Infinity}'),
    ("minus Infinity", b'{"exp":-Infinity}'),
    ("a number of five thousand digits", b'{"exp":' + b"9" * 5000 + b"}"),
]


@pytest.mark.parametrize("payload", [row[1] for row in SIGNED], ids=[row[0] for row in SIGNED])
def test_signed_payload_is_malformed(verifier: Build, keyring: Keyring, payload: bytes) -> None:
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload)
    assert refusal(verifier(), token) == MALFORMED


def test_signed_payload_as_deep_as_the_stack_is_refused(verifier: Build, keyring: Keyring) -> None:
    payload = b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}"
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload)
    # Since Python 3.12 the stack is deeper than a token can be: then it is one without an issuer.
    assert refusal(verifier(), token) in {MALFORMED, "token_invalid_issuer"}


@pytest.mark.parametrize("length", [MAX_TOKEN_LENGTH - 3, MAX_TOKEN_LENGTH, MAX_TOKEN_LENGTH + 1])
def test_length_limit_is_for_the_whole_token(verifier: Build, mint: Mint, length: int) -> None:
    def padded(size: int) -> str:
        return mint(claims={"padding": "x" * size})

    size = (length - len(padded(0))) * 3 // 4
    token = next((token for extra in range(-3, 4) if len(token := padded(size + extra)) == length), None)
    if token is None:
        pytest.fail("no padding gives that length: choose another one")
    if length > MAX_TOKEN_LENGTH:
        assert refusal(verifier(), token) == MALFORMED
    else:
        assert verifier().verify(token, now=NOW).user_id == "user_ada"


PART = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+/ é\0", max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=300) | st.lists(PART, min_size=3, max_size=3).map(".".join))
def test_no_text_raises_another_exception(text: str) -> None:
    verifier = SessionVerifier(FixedKeys(_KEYRING.jwks()), ISSUER)
    with pytest.raises(InvalidToken):
        verifier.verify(text, now=NOW)


@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "cat", "kid", "oiat", "crit"]), JSON, max_size=3),
    st.dictionaries(
        st.sampled_from(["iss", "sub", "sid", "exp", "iat", "nbf", "azp", "aud", "sts", "act"]),
        JSON,
        max_size=4,
    ),
)
def test_no_signed_token_raises_another_exception(header: dict[str, Any], claims: dict[str, Any]) -> None:
    verifier = SessionVerifier(FixedKeys(_KEYRING.jwks()), ISSUER, (PARTY,), "api")
    options: dict[str, Any] = {"issuer": ISSUER, "azp": PARTY, "now": NOW}
    token = _KEYRING.mint("user_ada", header=header, claims={"aud": "api"} | claims, **options)
    try:
        session = verifier.verify(token, now=NOW)
    except InvalidToken:
        return
    assert session.user_id.startswith("user_")
