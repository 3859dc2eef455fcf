"""Session tokens: the contents of a valid one, and the fault of each invalid one."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
import requests

from devclerk.fixtures import LocalClerk
from devclerk.tokens import ABSENT, MACHINE, SESSION, TEMPLATE, Fault


def decode(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims without verification."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.get_unverified_header(token), claims


def verify(clerk: LocalClerk, token: str) -> dict[str, Any]:
    """Verify with another implementation and the served keys. Raise `KeyError` for an unknown key."""
    keys = jwt.PyJWKSet.from_dict(requests.get(clerk.jwks_url, timeout=5).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return dict(jwt.decode(token, key.key, algorithms=["RS256"], issuer=clerk.issuer))


def test_a_token_has_the_fields_of_clerks_tokens(clerk: LocalClerk) -> None:
    header, claims = decode(clerk.mint("ada"))
    assert set(header) == {"alg", "cat", "kid", "oiat", "typ"}
    assert set(claims) == {
        *("azp", "exp", "fea", "fva", "iat", "iss", "jti", "nbf", "pla", "sid", "sts", "sub", "v"),
        *("email", "email_verified", "first_name", "last_name", "image_url"),
    }
    assert header | {"kid": "", "oiat": 0} == {
        "alg": "RS256",
        "cat": SESSION,
        "kid": "",
        "oiat": 0,
        "typ": "JWT",
    }
    assert (claims["v"], claims["sts"], claims["azp"]) == (2, "active", clerk.issuer)


def test_a_token_verifies_with_the_served_keys(clerk: LocalClerk) -> None:
    assert verify(clerk, clerk.mint("ada"))["sub"] == clerk.person("ada").id


def test_a_token_has_the_current_values_of_the_user(clerk: LocalClerk) -> None:
    clerk.update("ada", first_name="Augusta")
    assert decode(clerk.mint("ada"))[1]["first_name"] == "Augusta"


def test_an_unknown_user_id_gets_a_token_without_the_custom_claims(clerk: LocalClerk) -> None:
    claims = decode(clerk.mint("user_2unknown"))[1]
    assert claims["sub"] == "user_2unknown"
    assert "email" not in claims


def test_two_tokens_of_a_user_share_one_session(clerk: LocalClerk) -> None:
    first, second = (decode(clerk.mint("ada"))[1] for _ in range(2))
    assert first["jti"] != second["jti"]
    assert first["sid"] == second["sid"]


def test_the_times_are_as_requested(clerk: LocalClerk) -> None:
    header, claims = decode(clerk.mint("ada", now=2_000_000_000.9, expires=30, age=100))
    assert claims["exp"] == 2_000_000_030
    assert claims["iat"] == header["oiat"] == 2_000_000_000 - 100
    assert claims["nbf"] < claims["iat"]


def test_claims_and_header_fields_can_be_replaced_or_removed(clerk: LocalClerk) -> None:
    token = clerk.mint(
        "ada", claims={"first_name": None, "email": ABSENT, "x": [1]}, header={"cat": ABSENT, "oiat": 5}
    )
    header, claims = decode(token)
    assert claims["first_name"] is None
    assert "email" not in claims
    assert claims["x"] == [1]
    assert "cat" not in header
    assert header["oiat"] == 5


def test_azp_none_removes_the_claim(clerk: LocalClerk) -> None:
    assert "azp" not in decode(clerk.mint("ada", azp=None))[1]


def test_an_impersonated_session_has_its_actor(clerk: LocalClerk) -> None:
    assert decode(clerk.mint("ada", actor="user_2boss"))[1]["act"]["sub"] == "user_2boss"


def test_after_a_rotation_only_the_new_key_is_served(clerk: LocalClerk) -> None:
    old = clerk.mint("ada")
    clerk.rotate_keys()
    assert verify(clerk, clerk.mint("ada"))
    with pytest.raises(KeyError):
        verify(clerk, old)


def test_a_rotation_can_keep_the_old_key(clerk: LocalClerk) -> None:
    old = clerk.mint("ada")
    clerk.rotate_keys(keep_old=True)
    assert verify(clerk, old)
    assert verify(clerk, clerk.mint("ada"))


def test_the_pem_verifies_what_the_key_signs(clerk: LocalClerk) -> None:
    clerk.rotate_keys()
    assert jwt.decode(clerk.mint("ada"), clerk.pem, algorithms=["RS256"])


def test_any_bytes_can_be_signed(clerk: LocalClerk) -> None:
    token = clerk.emulator.keyring.sign(b'{"alg": "RS256"}', b'{"a": NaN, "a": 1}')
    assert jwt.PyJWS().decode(token, clerk.pem, algorithms=["RS256"]) == b'{"a": NaN, "a": 1}'


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in {Fault.ALG_NONE, Fault.HS256}])
def test_the_signature_is_valid_for_all_but_two_faults(clerk: LocalClerk, fault: Fault) -> None:
    token = clerk.mint("ada", fault=fault)
    assert jwt.PyJWS().decode(token, clerk.pem, algorithms=["RS256"])


def test_an_expired_token_expired_long_ago(clerk: LocalClerk) -> None:
    claims = decode(clerk.mint("ada", fault="expired"))[1]
    assert claims["iat"] < claims["exp"] < time.time() - 600


def test_a_not_yet_token_is_issued_but_not_active(clerk: LocalClerk) -> None:
    claims = decode(clerk.mint("ada", fault="not_yet"))[1]
    assert claims["iat"] <= time.time() < claims["nbf"] - 600


@pytest.mark.parametrize(
    ("fault", "name"), [("wrong_azp", "azp"), ("wrong_issuer", "iss"), ("pending", "sts"), ("machine", "sub")]
)
def test_a_fault_changes_its_claim(clerk: LocalClerk, fault: str, name: str) -> None:
    assert decode(clerk.mint("ada", fault=fault))[1][name] != decode(clerk.mint("ada"))[1][name]


def test_an_unsigned_token_has_alg_none(clerk: LocalClerk) -> None:
    token = clerk.mint("ada", fault="alg_none")
    assert decode(token)[0]["alg"] == "none"
    assert token.endswith(".")


def test_the_hs256_token_names_the_public_key(clerk: LocalClerk) -> None:
    header, _ = decode(clerk.mint("ada", fault="hs256"))
    assert header["alg"] == "HS256"
    assert header["kid"] == clerk.kid


def test_a_template_token_has_no_session(clerk: LocalClerk) -> None:
    header, claims = decode(clerk.mint("ada", fault="template"))
    assert header["cat"] == TEMPLATE
    assert not {"sid", "sts", "v"} & set(claims)
    assert claims["email"] == "ada@example.test"


def test_a_machine_token_has_its_own_category(clerk: LocalClerk) -> None:
    header, claims = decode(clerk.mint("ada", fault="machine"))
    assert header["cat"] == MACHINE
    assert claims["sub"].startswith("mch_")


def test_an_unknown_kid_is_not_served(clerk: LocalClerk) -> None:
    with pytest.raises(KeyError):
        verify(clerk, clerk.mint("ada", fault="unknown_kid"))


def test_an_unknown_fault_is_refused(clerk: LocalClerk) -> None:
    with pytest.raises(ValueError, match="not a valid Fault"):
        clerk.mint("ada", fault="typo")
