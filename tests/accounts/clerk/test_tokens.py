"""The truth table of session tokens: every code of the contract, every confusion of types."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.tokens import MAX_TOKEN_LENGTH, InvalidToken, SessionVerifier
from devclerk.tokens import ABSENT, MACHINE, TEMPLATE, Fault, Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint

Build = Callable[..., SessionVerifier]
MALFORMED, TYPE, ALGORITHM = "token_malformed", "token_type_mismatch", "token_invalid_algorithm"
KEY, SIGNATURE, CLAIMS = "token_unknown_key", "token_invalid_signature", "token_invalid_claims"
PARTIES, ISSUERS, AUDIENCE = (
    "token_invalid_authorized_party",
    "token_invalid_issuer",
    "token_invalid_audience",
)
EXPIRED, NOT_YET, FUTURE = "token_expired", "token_not_active_yet", "token_iat_in_the_future"


# All that a log line may learn of a refused token.
DETAIL = re.compile(r"(expired -?\d+ s ago|begins in \d+ s|issued in \d+ s)?")


def refusal(verifier: SessionVerifier, token: Any, *, now: float = NOW) -> str:
    """Give the code with which the token is refused; nothing of the token is repeated."""
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token, now=now)
    assert DETAIL.fullmatch(caught.value.detail)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


HEADERS = [
    ("alg none", {"alg": "none"}, ALGORITHM),
    ("alg absent", {"alg": ABSENT}, ALGORITHM),
    ("alg null", {"alg": None}, ALGORITHM),
    ("alg in another case", {"alg": "rs256"}, ALGORITHM),
    ("alg a list", {"alg": ["RS256"]}, ALGORITHM),
    ("alg HS256", {"alg": "HS256"}, ALGORITHM),
    ("alg RS512", {"alg": "RS512"}, ALGORITHM),
    ("alg PS256", {"alg": "PS256"}, ALGORITHM),
    ("alg ES256", {"alg": "ES256"}, ALGORITHM),
    ("typ of an OAuth token", {"typ": "at+jwt"}, TYPE),
    ("typ in another case", {"typ": "jwt"}, TYPE),
    ("typ null", {"typ": None}, TYPE),
    ("typ a list", {"typ": ["JWT"]}, TYPE),
    ("typ empty", {"typ": ""}, TYPE),
    ("crit", {"crit": ["exp"]}, MALFORMED),
    ("crit empty", {"crit": []}, MALFORMED),
    ("b64 false", {"b64": False}, MALFORMED),
    ("zip", {"zip": "DEF"}, MALFORMED),
    ("cat of a template", {"cat": TEMPLATE}, TYPE),
    ("cat of a machine", {"cat": MACHINE}, TYPE),
    ("cat unknown", {"cat": "cl_B7d4PD444AAA"}, TYPE),
    ("cat null", {"cat": None}, TYPE),
    ("cat a list", {"cat": ["cl_B7d4PD111AAA"]}, TYPE),
    ("kid unknown", {"kid": "ins_other"}, KEY),
    ("kid absent", {"kid": ABSENT}, KEY),
    ("kid empty", {"kid": ""}, KEY),
    ("kid null", {"kid": None}, MALFORMED),
    ("kid true", {"kid": True}, MALFORMED),
    ("kid a number", {"kid": 1}, MALFORMED),
    ("kid a list", {"kid": ["ins"]}, MALFORMED),
    ("kid an object", {"kid": {"ins": 1}}, MALFORMED),
    ("typ a number", {"typ": 1}, TYPE),
    ("typ true", {"typ": True}, TYPE),
    ("typ an object", {"typ": {}}, TYPE),
    ("cat empty", {"cat": ""}, TYPE),
    ("cat a number", {"cat": 0}, TYPE),
    ("cat an object", {"cat": {}}, TYPE),
    ("a key of its own, by an unknown id", {"kid": "mine", "jwk": {"kty": "RSA"}}, KEY),
    ("an address of its own, by an unknown id", {"kid": "mine", "jku": "https://evil.example.test"}, KEY),
]


@pytest.mark.parametrize(("header", "code"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS])
def test_a_header_that_is_refused(verifier: Build, mint: Mint, header: dict[str, Any], code: str) -> None:
    assert refusal(verifier(), mint(header=header)) == code


PAYLOADS = [
    ("iss of another instance", {"iss": "https://clerk.other.test"}, ISSUERS),
    ("iss with a slash at its end", {"iss": f"{ISSUER}/"}, ISSUERS),
    ("iss in another case", {"iss": ISSUER.upper()}, ISSUERS),
    ("iss absent", {"iss": ABSENT}, ISSUERS),
    ("iss null", {"iss": None}, ISSUERS),
    ("iss a list that holds ours", {"iss": [ISSUER]}, ISSUERS),
    ("iss a number", {"iss": 1}, ISSUERS),
    ("sub absent", {"sub": ABSENT}, CLAIMS),
    ("sub null", {"sub": None}, CLAIMS),
    ("sub empty", {"sub": ""}, CLAIMS),
    ("sub the prefix alone", {"sub": "user_"}, CLAIMS),
    ("sub without the prefix", {"sub": "2abc"}, CLAIMS),
    ("sub a number", {"sub": 7}, CLAIMS),
    ("sub a list", {"sub": ["user_ada"]}, CLAIMS),
    ("sub with a quote", {"sub": "user_a'b"}, CLAIMS),
    ("sub with a NUL", {"sub": "user_a\x00"}, CLAIMS),
    ("sub with a line end", {"sub": "user_ada\n"}, CLAIMS),
    ("sub in Arabic digits", {"sub": "user_\u0661\u0662"}, CLAIMS),
    ("sub of 65 characters", {"sub": "user_" + "a" * 60}, CLAIMS),
    ("sub of a machine", {"sub": "mch_2abc"}, TYPE),
    ("sid absent", {"sid": ABSENT}, CLAIMS),
    ("sid null", {"sid": None}, CLAIMS),
    ("sid empty", {"sid": ""}, CLAIMS),
    ("sid a number", {"sid": 5}, CLAIMS),
    ("sid a list", {"sid": ["sess_1"]}, CLAIMS),
    ("sid with a NUL", {"sid": "sess_\x00"}, CLAIMS),
    ("sid with half a surrogate pair", {"sid": "sess_\ud800"}, CLAIMS),
    ("exp absent", {"exp": ABSENT}, CLAIMS),
    ("exp null", {"exp": None}, CLAIMS),
    ("exp a text of digits", {"exp": str(NOW + 60)}, CLAIMS),
    ("exp in Arabic digits", {"exp": "\u0661\u0662"}, CLAIMS),
    ("exp true", {"exp": True}, CLAIMS),
    ("exp a list", {"exp": [NOW + 60]}, CLAIMS),
    ("exp an object", {"exp": {}}, CLAIMS),
    ("exp false", {"exp": False}, CLAIMS),
    ("exp beyond any date", {"exp": 10**18}, CLAIMS),
    ("exp a number of four hundred digits", {"exp": 10**400}, CLAIMS),
    ("exp before any date", {"exp": -(10**18)}, CLAIMS),
    ("exp negative", {"exp": -1}, EXPIRED),
    ("exp the first second of all dates", {"exp": -62_135_596_800}, EXPIRED),
    ("exp a second before all dates", {"exp": -62_135_596_801}, CLAIMS),
    ("nbf the last second of all dates", {"nbf": 253_402_300_799}, NOT_YET),
    ("nbf a second after all dates", {"nbf": 253_402_300_800}, CLAIMS),
    ("exp zero", {"exp": 0}, EXPIRED),
    ("exp an hour ago", {"exp": NOW - 3600}, EXPIRED),
    ("exp just beyond the leeway", {"exp": NOW - 5}, EXPIRED),
    ("nbf beyond the leeway", {"nbf": NOW + 5.5}, NOT_YET),
    ("nbf a text of digits", {"nbf": str(NOW)}, CLAIMS),
    ("nbf null", {"nbf": None}, CLAIMS),
    ("nbf true", {"nbf": True}, CLAIMS),
    ("nbf a list", {"nbf": [NOW]}, CLAIMS),
    ("nbf an object", {"nbf": {"at": NOW}}, CLAIMS),
    ("nbf in Arabic digits", {"nbf": "\u0661"}, CLAIMS),
    ("nbf a number of four hundred digits", {"nbf": 10**400}, CLAIMS),
    ("iat absent", {"iat": ABSENT}, CLAIMS),
    ("iat null", {"iat": None}, CLAIMS),
    ("iat true", {"iat": True}, CLAIMS),
    ("iat a text with underscores", {"iat": "1_000"}, CLAIMS),
    ("iat a list", {"iat": [NOW]}, CLAIMS),
    ("iat an object", {"iat": {}}, CLAIMS),
    ("iat a number of four hundred digits", {"iat": 10**400}, CLAIMS),
    ("iat beyond the leeway", {"iat": NOW + 6}, FUTURE),
    ("azp of a stranger", {"azp": "https://stranger.example.test"}, PARTIES),
    ("azp with a slash at its end", {"azp": f"{PARTY}/"}, PARTIES),
    ("azp a part of ours", {"azp": PARTY[:-1]}, PARTIES),
    ("azp absent", {"azp": ABSENT}, PARTIES),
    ("azp null", {"azp": None}, PARTIES),
    ("azp empty", {"azp": ""}, PARTIES),
    ("azp a list that holds ours", {"azp": [PARTY]}, PARTIES),
    ("azp a number", {"azp": 0}, PARTIES),
    ("azp false", {"azp": False}, PARTIES),
    ("sts pending", {"sts": "pending"}, "session_pending"),
    ("sts a list", {"sts": ["pending"]}, CLAIMS),
    ("sts a number", {"sts": 0}, CLAIMS),
    ("sts null", {"sts": None}, CLAIMS),
    ("sts true", {"sts": True}, CLAIMS),
    ("sts an object", {"sts": {}}, CLAIMS),
    ("sts empty", {"sts": ""}, CLAIMS),
    ("sts expired", {"sts": "expired"}, CLAIMS),
    ("sts revoked", {"sts": "revoked"}, CLAIMS),
    ("sts in another case", {"sts": "ACTIVE"}, CLAIMS),
    ("sts with a blank", {"sts": "active "}, CLAIMS),
    ("act without sub", {"act": {}}, CLAIMS),
    ("act a text", {"act": "user_admin"}, CLAIMS),
    ("act with a number as sub", {"act": {"sub": 1}}, CLAIMS),
    ("act a list", {"act": [{"sub": "user_admin"}]}, CLAIMS),
    ("act false", {"act": False}, CLAIMS),
    ("act with an empty sub", {"act": {"sub": ""}}, CLAIMS),
    ("act with half a surrogate pair", {"act": {"sub": "user_\udfff"}}, CLAIMS),
]


@pytest.mark.parametrize(("claims", "code"), [row[1:] for row in PAYLOADS], ids=[row[0] for row in PAYLOADS])
def test_a_payload_that_is_refused(verifier: Build, mint: Mint, claims: dict[str, Any], code: str) -> None:
    assert refusal(verifier(), mint(claims=claims)) == code


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
def test_a_text_that_is_refused(verifier: Build, keys: FixedKeys, text: str, code: str) -> None:
    assert refusal(verifier(), text) == code
    assert keys.asked == 0


@pytest.mark.parametrize("thing", [None, 5, b"e30.e30.e30", ["e30"], {}])
def test_what_is_no_text_is_malformed(verifier: Build, thing: object) -> None:
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
def test_a_signed_payload_that_is_malformed(verifier: Build, keyring: Keyring, payload: bytes) -> None:
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload)
    assert refusal(verifier(), token) == MALFORMED


def test_a_signed_payload_as_deep_as_the_stack_is_refused(verifier: Build, keyring: Keyring) -> None:
    payload = b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}"
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload)
    # Since Python 3.12 the stack is deeper than a token can be: then it is one without an issuer.
    assert refusal(verifier(), token) in {MALFORMED, "token_invalid_issuer"}


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_that_overflows_is_no_time(
    verifier: Build, keyring: Keyring, claim: str, number: str
) -> None:
    claims = {"iss": ISSUER, "sub": "user_ada", "sid": "sess_1", "iat": NOW, "exp": NOW + 60}
    payload = json.dumps(claims | {claim: "HERE"}).replace('"HERE"', number)
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload.encode())
    assert refusal(verifier(), token) == CLAIMS


FAULTS = {
    Fault.EXPIRED: EXPIRED,
    Fault.NOT_YET: NOT_YET,
    Fault.WRONG_AZP: PARTIES,
    Fault.WRONG_ISSUER: ISSUERS,
    Fault.ALG_NONE: ALGORITHM,
    Fault.HS256: ALGORITHM,
    Fault.TEMPLATE: TYPE,
    Fault.MACHINE: TYPE,
    Fault.PENDING: "session_pending",
    Fault.UNKNOWN_KID: KEY,
}


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_of_the_stand_in_has_its_code(verifier: Build, mint: Mint, fault: Fault) -> None:
    assert refusal(verifier(), mint(fault=fault)) == FAULTS[fault]


# Signatures


def test_a_changed_payload_is_an_invalid_signature(verifier: Build, mint: Mint) -> None:
    header, _, signature = mint().split(".")
    payload = encoded(
        {"iss": ISSUER, "sub": "user_eve", "sid": "s", "iat": NOW, "exp": NOW + 60, "azp": PARTY}
    )
    assert refusal(verifier(), f"{header}.{payload}.{signature}") == SIGNATURE


def test_a_signature_of_another_key_under_our_kid_is_invalid(verifier: Build, keyring: Keyring) -> None:
    other = Keyring()
    token = other.mint("user_ada", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": keyring.kid})
    assert refusal(verifier(), token) == SIGNATURE


@pytest.mark.parametrize("brought", ["jwk", "jku", "x5c", "x5u"])
def test_a_key_that_a_token_brings_along_is_never_used(
    verifier: Build, keyring: Keyring, keys: FixedKeys, brought: str
) -> None:
    other = Keyring()
    own = {
        "jwk": other.jwks()["keys"][0],
        "jku": "https://evil.example.test/jwks",
        "x5c": ["".join(other.pem.splitlines()[1:-1])],
        "x5u": "https://evil.example.test/pem",
    }
    header = {"kid": keyring.kid, brought: own[brought]}
    token = other.mint("user_ada", issuer=ISSUER, azp=PARTY, now=NOW, header=header)
    assert refusal(verifier(), token) == SIGNATURE
    assert keys.asked == 1


@pytest.mark.parametrize(
    "change", [lambda s: s[:-6], lambda s: s[:-4] + "AAAA", lambda _: encoded(b"\0" * 256)]
)
def test_a_signature_cut_or_changed_is_invalid(
    verifier: Build, mint: Mint, change: Callable[[str], str]
) -> None:
    signed, _, signature = mint().rpartition(".")
    assert refusal(verifier(), f"{signed}.{change(signature)}") == SIGNATURE


def test_a_second_spelling_of_the_same_signature_is_malformed(verifier: Build, mint: Mint) -> None:
    # 256 bytes leave four unused bits in the last letter: another letter would decode to the same bytes.
    signed, _, signature = mint().rpartition(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(last) ^ 1]
    assert base64.urlsafe_b64decode(f"{signature[:-1]}{other}==") == base64.urlsafe_b64decode(
        f"{signature}=="
    )
    assert refusal(verifier(), f"{signed}.{signature[:-1]}{other}") == MALFORMED


def test_no_claim_is_judged_before_the_signature(verifier: Build, mint: Mint) -> None:
    header, _, signature = mint().split(".")
    payloads: list[object] = [{}, {"iss": "x"}, {"exp": 0}, []]
    for payload in payloads:
        assert refusal(verifier(), f"{header}.{encoded(payload)}.{signature}") == SIGNATURE


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


# What is accepted

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
    ("an audience that nobody asked for", {}, {"aud": ["x", 1]}, {}),
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
def test_a_token_that_is_accepted(
    verifier: Build, mint: Mint, header: dict[str, Any], claims: dict[str, Any], options: dict[str, Any]
) -> None:
    session = verifier(**options).verify(mint(header=header, claims=claims), now=NOW)
    assert session.user_id == claims.get("sub", "user_ada")


def test_the_session_holds_what_was_verified(verifier: Build, mint: Mint) -> None:
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
def test_an_option_that_refuses(
    verifier: Build, mint: Mint, options: dict[str, Any], claims: dict[str, Any], code: str
) -> None:
    assert refusal(verifier(**options), mint(claims=claims)) == code


def test_a_header_seen_before_is_judged_anew_by_each_verifier(verifier: Build, mint: Mint) -> None:
    token = mint(header={"cat": TEMPLATE})
    for _ in range(2):
        assert refusal(verifier(), token) == TYPE
        assert verifier(allow_template_tokens=True).verify(token, now=NOW).user_id == "user_ada"


def test_a_party_that_cannot_be_written_is_refused_without_a_list_too(verifier: Build, mint: Mint) -> None:
    token = mint(claims={"azp": "https://\ud800.test"})
    assert refusal(verifier(authorized_parties=None), token) == PARTIES


@pytest.mark.parametrize("options", [{}, {"allow_template_tokens": True}])
def test_a_machine_is_never_a_session(verifier: Build, mint: Mint, options: dict[str, Any]) -> None:
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
def test_the_claims_are_as_old_as_oiat_says_if_it_can_be_believed(
    verifier: Build, mint: Mint, oiat: object, read_at: int
) -> None:
    assert verifier().verify(mint(header={"oiat": oiat}), now=NOW).read_at == read_at


def test_without_a_time_the_clock_of_the_machine_counts(verifier: Build, mint: Mint) -> None:
    assert verifier().verify(mint(now=time.time())).user_id == "user_ada"
    assert refusal(verifier(), mint(claims={"nbf": ABSENT}), now=time.time()) == FUTURE


@pytest.mark.parametrize("length", [MAX_TOKEN_LENGTH - 3, MAX_TOKEN_LENGTH, MAX_TOKEN_LENGTH + 1])
def test_the_cap_is_on_the_whole_token(verifier: Build, mint: Mint, length: int) -> None:
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


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"fault": Fault.EXPIRED}, "expired 3540 s ago"),
        ({"fault": Fault.NOT_YET}, "begins in 3600 s"),
        ({"claims": {"iat": NOW + 60}}, "issued in 60 s"),
    ],
)
def test_the_log_says_by_how_many_seconds_and_nothing_else(
    verifier: Build, mint: Mint, options: dict[str, Any], detail: str
) -> None:
    with pytest.raises(InvalidToken) as caught:
        verifier().verify(mint(**options), now=NOW)
    assert caught.value.detail == detail


def test_the_source_of_the_keys_hears_of_signatures_of_our_issuer_alone(
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


PART = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+/ é\0", max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(max_size=300) | st.lists(PART, min_size=3, max_size=3).map(".".join))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
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
def test_no_signed_token_raises_anything_but_a_refusal(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    verifier = SessionVerifier(FixedKeys(_KEYRING.jwks()), ISSUER, (PARTY,), "api")
    options: dict[str, Any] = {"issuer": ISSUER, "azp": PARTY, "now": NOW}
    token = _KEYRING.mint("user_ada", header=header, claims={"aud": "api"} | claims, **options)
    try:
        session = verifier.verify(token, now=NOW)
    except InvalidToken:
        return
    assert session.user_id.startswith("user_")


_KEYRING = Keyring()
