"""Tokens that are accepted, the verifier's options, and the order of the checks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from accounts.clerk.tokens import InvalidToken
from devclerk.tokens import ABSENT, MACHINE, TEMPLATE, Fault
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, Mint
from tests.accounts.clerk.refusals import (
    ALGORITHM,
    AUDIENCE,
    CLAIMS,
    EXPIRED,
    FUTURE,
    ISSUERS,
    MALFORMED,
    NOT_YET,
    PARTIES,
    TYPE,
    Build,
    refusal,
)

ACCEPTED = [
    ("as Clerk makes it", {}, {}, {}),
    ("typ absent", {"typ": ABSENT}, {}, {}),
    ("cat absent, as before its roll-out", {"cat": ABSENT}, {}, {}),
    ("cat ignore", {"cat": "cl_I7d4PD111III"}, {}, {}),
    ("nbf absent", {}, {"nbf": ABSENT}, {}),
    ("sts absent, as in version 1", {}, {"sts": ABSENT, "v": ABSENT}, {}),
    ("exp within the leeway", {}, {"exp": NOW - 4}, {}),
    ("nbf within the leeway", {}, {"nbf": NOW + 5}, {}),
    ("iat within the leeway", {}, {"iat": NOW + 5}, {}),
    ("fractions of a second", {}, {"exp": NOW + 0.5, "iat": NOW - 0.5}, {}),
    ("a list of parties that holds it", {}, {}, {"authorized_parties": ("https://other.test", PARTY)}),
    ("no list of parties", {}, {"azp": "https://anybody.test"}, {"authorized_parties": None}),
    ("no list of parties and no azp", {}, {"azp": ABSENT}, {"authorized_parties": None}),
    ("azp absent, where that is permitted", {}, {"azp": ABSENT}, {"allow_missing_azp": True}),
    ("pending, where that is permitted", {}, {"sts": "pending"}, {"allow_pending_sessions": True}),
    ("the audience", {}, {"aud": "api"}, {"audience": "api"}),
    ("the audience among others", {}, {"aud": ["web", "api"]}, {"audience": "api"}),
    ("an audience where none is configured", {}, {"aud": ["x", 1]}, {}),
    (
        "a template, where that is permitted",
        {"cat": TEMPLATE},
        {"sid": ABSENT},
        {"allow_template_tokens": True},
    ),
    ("a longer leeway", {}, {"exp": NOW - 50}, {"leeway": 60}),
    ("act null", {}, {"act": None}, {}),
    ("sub of 64 characters", {}, {"sub": "user_" + "a" * 59}, {}),
]


@pytest.mark.parametrize(
    ("header", "claims", "options"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_token_is_accepted(
    verifier: Build, mint: Mint, header: dict[str, Any], claims: dict[str, Any], options: dict[str, Any]
) -> None:
    session = verifier(**options).verify(mint(header=header, claims=claims), now=NOW)
    assert session.user_id == claims.get("sub", "user_ada")


def test_session_has_the_verified_claims(verifier: Build, mint: Mint) -> None:
    session = verifier().verify(mint(age=7, expires=53, actor="user_admin"), now=NOW)
    assert (session.issued_at, session.expires_at, session.read_at) == (NOW - 7, NOW + 53, NOW - 7)
    assert (session.authorized_party, session.actor) == (PARTY, "user_admin")
    assert session.session_id
    assert session.payload["iss"] == ISSUER


@pytest.mark.parametrize(
    ("options", "claims", "code"),
    [
        ({"authorized_parties": ()}, {}, PARTIES),
        ({"allow_missing_azp": True}, {"azp": "https://stranger.test"}, PARTIES),
        ({"allow_impersonation": False}, {"act": {"sub": "user_admin"}}, "impersonation_refused"),
        ({"allow_impersonation": False}, {"act": {}}, "impersonation_refused"),
        ({"audience": "api"}, {}, AUDIENCE),
        ({"audience": "api"}, {"aud": "web"}, AUDIENCE),
        ({"audience": "api"}, {"aud": ["web"]}, AUDIENCE),
        ({"audience": "api"}, {"aud": ["api", 1]}, AUDIENCE),
        ({"audience": "api"}, {"aud": {"api": 1}}, AUDIENCE),
        ({"audience": "api"}, {"aud": True}, AUDIENCE),
        ({"allow_template_tokens": True}, {"sid": ""}, CLAIMS),
        ({"allow_template_tokens": True}, {"sid": None}, CLAIMS),
        ({"allow_missing_azp": True}, {"azp": None}, PARTIES),
        ({"allow_missing_azp": True}, {"azp": ""}, PARTIES),
        ({"allow_missing_azp": True}, {"azp": []}, PARTIES),
        ({"authorized_parties": None}, {"azp": None}, PARTIES),
        ({"authorized_parties": None}, {"azp": False}, PARTIES),
        ({"authorized_parties": None}, {"azp": [PARTY]}, PARTIES),
        ({"allow_pending_sessions": True}, {"sts": "expired"}, CLAIMS),
        ({"allow_pending_sessions": True}, {"sts": None}, CLAIMS),
        ({"leeway": 0}, {"exp": NOW}, EXPIRED),
    ],
)
def test_option_refuses_with_its_code(
    verifier: Build, mint: Mint, options: dict[str, Any], claims: dict[str, Any], code: str
) -> None:
    assert refusal(verifier(**options), mint(claims=claims)) == code


def test_cached_header_is_checked_by_each_verifier(verifier: Build, mint: Mint) -> None:
    token = mint(header={"cat": TEMPLATE})
    for _ in range(2):
        assert refusal(verifier(), token) == TYPE
        assert verifier(allow_template_tokens=True).verify(token, now=NOW).user_id == "user_ada"


def test_party_that_cannot_be_encoded_is_refused_without_a_list(verifier: Build, mint: Mint) -> None:
    token = mint(claims={"azp": "https://\ud800.test"})
    assert refusal(verifier(authorized_parties=None), token) == PARTIES


@pytest.mark.parametrize("options", [{}, {"allow_template_tokens": True}])
def test_machine_token_is_never_a_session(verifier: Build, mint: Mint, options: dict[str, Any]) -> None:
    assert refusal(verifier(**options), mint(header={"cat": MACHINE})) == TYPE


@pytest.mark.parametrize(
    ("oiat", "read_at"),
    [
        (NOW - 600, NOW - 600),
        (NOW + 300, NOW + 300),
        (NOW + 301, NOW),
        (str(NOW - 600), NOW),
        (True, NOW),
        (NOW - 600.5, NOW),
        (None, NOW),
        (0, NOW),
        (1, 1),
        (-5, NOW),
        (ABSENT, NOW),
    ],
)
def test_claims_are_as_old_as_a_plausible_oiat(
    verifier: Build, mint: Mint, oiat: object, read_at: int
) -> None:
    assert verifier().verify(mint(header={"oiat": oiat}), now=NOW).read_at == read_at


def test_time_is_the_system_clock_by_default(verifier: Build, mint: Mint) -> None:
    assert verifier().verify(mint(now=time.time())).user_id == "user_ada"
    assert refusal(verifier(), mint(claims={"nbf": ABSENT}), now=time.time()) == FUTURE


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"fault": Fault.EXPIRED}, "expired 3540 s ago"),
        ({"fault": Fault.NOT_YET}, "begins in 3600 s"),
        ({"claims": {"iat": NOW + 60}}, "issued in 60 s"),
    ],
)
def test_detail_for_the_log_is_a_number_of_seconds(
    verifier: Build, mint: Mint, options: dict[str, Any], detail: str
) -> None:
    with pytest.raises(InvalidToken) as caught:
        verifier().verify(mint(**options), now=NOW)
    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({"alg": "none", "typ": "at+jwt"}, {}, ALGORITHM),
        ({"typ": "at+jwt", "crit": ["x"]}, {}, TYPE),
        ({"crit": ["x"], "cat": MACHINE}, {}, MALFORMED),
        ({"typ": "at+jwt", "kid": 1}, {}, TYPE),
        ({"kid": 1, "cat": MACHINE}, {}, MALFORMED),
        ({"cat": MACHINE, "kid": "other"}, {}, TYPE),
        ({}, {"iss": "x", "sub": None}, ISSUERS),
        ({}, {"sub": None, "sid": None, "exp": None}, CLAIMS),
        ({}, {"exp": 0, "azp": "x"}, EXPIRED),
        ({}, {"exp": 0, "nbf": NOW + 60, "iat": NOW + 60}, EXPIRED),
        ({}, {"nbf": NOW + 60, "iat": NOW + 60}, NOT_YET),
        ({}, {"iat": NOW + 60, "azp": "x"}, FUTURE),
        ({}, {"azp": "x", "sts": "pending"}, PARTIES),
        ({}, {"sts": "pending", "act": {}}, "session_pending"),
    ],
)
def test_the_first_failure_decides_the_code(
    verifier: Build, mint: Mint, header: dict[str, Any], claims: dict[str, Any], code: str
) -> None:
    assert refusal(verifier(), mint(header=header, claims=claims)) == code
