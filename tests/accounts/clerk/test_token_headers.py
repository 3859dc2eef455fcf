"""Tokens whose header is refused: the code of each fault."""

from __future__ import annotations

from typing import Any

import pytest

from devclerk.tokens import ABSENT, MACHINE, TEMPLATE, Fault
from tests.accounts.clerk.conftest import Mint
from tests.accounts.clerk.refusals import (
    ALGORITHM,
    EXPIRED,
    ISSUERS,
    KEY,
    MALFORMED,
    NOT_YET,
    PARTIES,
    TYPE,
    Build,
    refusal,
)

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
def test_header_is_refused_with_its_code(
    verifier: Build, mint: Mint, header: dict[str, Any], code: str
) -> None:
    assert refusal(verifier(), mint(header=header)) == code


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
def test_every_fault_of_the_emulator_has_its_code(verifier: Build, mint: Mint, fault: Fault) -> None:
    assert refusal(verifier(), mint(fault=fault)) == FAULTS[fault]
