"""Verification of signatures alone, with the test vector of RFC 7515."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.tokens import InvalidToken, verify_signature
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import FixedKeys

# RFC 7515, appendix A.2: header {"alg":"RS256"}, and the public half of its key.
RFC_KEY = {
    "kty": "RSA",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Ql"
        "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
        "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
        "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
    ),
    "e": "AQAB",
}
RFC_HEADER = "eyJhbGciOiJSUzI1NiJ9"
RFC_PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
RFC_SIGNATURE = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
    "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
    "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
    "wlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)


class OneKey(FixedKeys):
    """One key for every kid, and for tokens without one: as in PEM mode."""

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        return list(self.keys.values())


@pytest.fixture
def rfc_key() -> OneKey:
    return OneKey({"keys": [{**RFC_KEY, "kid": "rfc"}]})


def test_vector_of_the_rfc_is_accepted(rfc_key: OneKey) -> None:
    payload = verify_signature(f"{RFC_HEADER}.{RFC_PAYLOAD}.{RFC_SIGNATURE}", rfc_key)
    assert json.loads(payload) == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("place", [1, 7, -8])
def test_any_changed_letter_is_refused(rfc_key: OneKey, part: int, place: int) -> None:
    parts = [RFC_HEADER, RFC_PAYLOAD, RFC_SIGNATURE]
    letters = list(parts[part])
    letters[place] = "A" if letters[place] != "A" else "B"
    parts[part] = "".join(letters)
    with pytest.raises(InvalidToken):
        verify_signature(".".join(parts), rfc_key)


@pytest.mark.parametrize(
    "thing", [None, 5, b"e30.e30.e30", ["e30"], f"{RFC_HEADER}.\ud800.e30", f"{RFC_HEADER}.e30.\u0661"]
)
def test_text_that_is_no_token_is_malformed(rfc_key: OneKey, thing: Any) -> None:
    with pytest.raises(InvalidToken, match="token_malformed"):
        verify_signature(thing, rfc_key)


def test_payload_that_is_no_json_is_returned_as_it_was_signed(keyring: Keyring, keys: FixedKeys) -> None:
    token = keyring.sign({"alg": "RS256", "kid": keyring.kid}, b"\x00\xff, no JSON")
    assert verify_signature(token, keys) == b"\x00\xff, no JSON"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "none"}, "token_invalid_algorithm"),
        ({"alg": "HS256"}, "token_invalid_algorithm"),
        ({"alg": "RS384"}, "token_invalid_algorithm"),
        ({"alg": "RS256", "crit": ["b64"], "b64": False}, "token_malformed"),
        ({"alg": "RS256", "kid": None}, "token_malformed"),
        ({"alg": "RS256", "kid": 1}, "token_malformed"),
        ({"alg": "RS256", "kid": "other"}, "token_unknown_key"),
        ({"alg": "RS256"}, "token_unknown_key"),
    ],
)
def test_other_header_is_refused(
    keyring: Keyring, keys: FixedKeys, header: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidToken, match=reason):
        verify_signature(keyring.sign(header, {}), keys)
