"""Signed tokens whose claims are refused: the code of each fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devclerk.tokens import ABSENT, Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, Mint
from tests.accounts.clerk.refusals import (
    CLAIMS,
    EXPIRED,
    FUTURE,
    ISSUERS,
    NOT_YET,
    PARTIES,
    TYPE,
    Build,
    refusal,
)

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
def test_claim_is_refused_with_its_code(
    verifier: Build, mint: Mint, claims: dict[str, Any], code: str
) -> None:
    assert refusal(verifier(), mint(claims=claims)) == code


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_number_that_overflows_is_no_time(verifier: Build, keyring: Keyring, claim: str, number: str) -> None:
    claims = {"iss": ISSUER, "sub": "user_ada", "sid": "sess_1", "iat": NOW, "exp": NOW + 60}
    payload = json.dumps(claims | {claim: "HERE"}).replace('"HERE"', number)
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, payload.encode())
    assert refusal(verifier(), token) == CLAIMS
