from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from accounts.clerk.jws import InvalidToken, is_foreign_token, parse_jws

ISSUERS = ("https://clerk.example.test", "https://clerk.satellite.test")


def encode(value: object) -> str:
    """Return JSON in base64url, as a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(payload: object, *, algorithm: str = "RS256") -> str:
    """Return a token with this payload and a signature that proves nothing."""
    return f"{encode({'alg': algorithm})}.{encode(payload)}.{encode('signature')}"


@pytest.mark.parametrize("issuer", ISSUERS)
def test_token_that_names_one_of_our_issuers_is_ours(issuer: str) -> None:
    assert not is_foreign_token(unsigned({"iss": issuer}), issuers=ISSUERS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token + "!",
        lambda token: token.rpartition(".")[0],
        lambda token: token + ".more",
        lambda token: token + "A" * 10_000,
        lambda token: "=." + token.partition(".")[2],
    ],
)
def test_malformed_token_that_names_our_issuer_is_ours(damage: Callable[[str], str]) -> None:
    token = damage(unsigned({"iss": ISSUERS[0]}))
    with pytest.raises(InvalidToken, match="token_malformed"):
        parse_jws(token)
    assert not is_foreign_token(token, issuers=ISSUERS)


@pytest.mark.parametrize("prefix", ["mt_", "m2m_", "oat_", "ak_"])
def test_opaque_token_of_clerk_is_ours(prefix: str) -> None:
    assert not is_foreign_token(f"{prefix}0123456789", issuers=ISSUERS)


@pytest.mark.parametrize(
    "token",
    [
        unsigned({"iss": "https://other.example.test"}),
        unsigned({"iss": "https://other.example.test"}, algorithm="HS256"),
        unsigned({"sub": "user_1"}),
        unsigned({"iss": None}),
        unsigned({"iss": ["https://clerk.example.test"]}),
        unsigned(["https://clerk.example.test"]),
        "0123456789abcdef0123456789abcdef01234567",
        "a.b.c",
        "",
        "\u00e4" * 10_000,
    ],
)
def test_any_other_token_is_foreign(token: str) -> None:
    assert is_foreign_token(token, issuers=ISSUERS)
