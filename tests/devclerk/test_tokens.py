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


def test_an_organization_is_encoded_as_clerk_does(clerk: LocalClerk) -> None:
    acme = {
        "slug": "acme",
        "role": "admin",
        "permissions": ["reports:read", "org:files:write", "reports:write"],
    }
    claims = decode(clerk.mint("ada", organization=acme, features=["o:other", "u:reports", "u:beta"]))[1]

    assert claims["fea"] == "o:other,ou:reports,u:beta,o:files"
    assert claims["o"] == {
        "id": claims["o"]["id"],
        "slg": "acme",
        "rol": "admin",
        "per": "read,write",
        "fpm": "0,3,2",
    }
    assert claims["o"]["id"].startswith("org_2")


def test_an_organization_without_permissions_has_neither_names_nor_map(clerk: LocalClerk) -> None:
    claims = decode(clerk.mint("ada", organization="acme"))[1]
    assert set(claims["o"]) == {"id", "slg", "rol"}
    assert claims["o"]["rol"] == "member"


def test_the_map_has_more_bits_than_a_machine_word(clerk: LocalClerk) -> None:
    names = [f"a:p{number}" for number in range(80)]
    token = clerk.mint("ada", organization={"slug": "acme", "permissions": [*names, "b:p79"]})
    assert decode(token)[1]["o"]["fpm"] == f"{2**80 - 1},{2**79}"


def test_version_1_has_flat_claims(clerk: LocalClerk) -> None:
    acme = {"slug": "acme", "role": "admin", "permissions": ["reports:read"], "id": "org_2acme"}
    claims = decode(clerk.mint("ada", organization=acme, version=1))[1]

    assert not {"v", "jti", "pla", "fea", "sts", "o"} & set(claims)
    assert {name: value for name, value in claims.items() if name.startswith("org_")} == {
        "org_id": "org_2acme",
        "org_slug": "acme",
        "org_role": "org:admin",
        "org_permissions": ["org:reports:read"],
    }
    assert not {name for name in decode(clerk.mint("ada", version=1))[1] if name.startswith("org_")}


def test_features_plans_and_factors_are_as_requested(clerk: LocalClerk) -> None:
    claims = decode(clerk.mint("ada", features=["u:a", "o:a"], plans=["o:pro"], factor_ages=(3, -1)))[1]
    assert (claims["fea"], claims["pla"], claims["fva"]) == ("ou:a", "o:pro", [3, -1])


@pytest.mark.parametrize(
    ("options", "sub"),
    [
        ({"actor_kind": "cli"}, "cli:operator@example.test"),
        ({"actor_kind": "cli", "actor": "a@example.test"}, "cli:a@example.test"),
        ({"actor_kind": "agent", "actor": "user_2boss"}, "user_2boss"),
        ({"actor_kind": "user", "actor": "user_2boss"}, "user_2boss"),
        ({"actor": "user_2boss"}, "user_2boss"),
    ],
)
def test_an_actor_has_its_kind(clerk: LocalClerk, options: dict[str, str], sub: str) -> None:
    act = decode(clerk.mint("ada", **options))[1]["act"]
    assert act["sub"] == sub
    assert act.get("type") == ("agent" if options.get("actor_kind") == "agent" else None)


@pytest.mark.parametrize(("kind", "prefix"), [("user", "user_2"), ("agent", "agent_2")])
def test_an_actor_without_an_id_gets_one(clerk: LocalClerk, kind: str, prefix: str) -> None:
    assert decode(clerk.mint("ada", actor_kind=kind))[1]["act"]["sub"].startswith(prefix)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["beta"]}, "'beta' must look like o:slug, u:slug or ou:slug"),
        ({"features": ["x:beta"]}, "must look like"),
        ({"plans": ["o:"]}, "must look like"),
        ({"organization": {"slug": "acme", "permissions": ["read"]}}, "must look like reports:read"),
        ({"organization": {"slug": "acme", "permissions": ["a:b:c"]}}, "must look like reports:read"),
        ({"organization": {"role": "admin"}}, "needs an organization"),
        ({"actor_kind": "robot"}, "must be one of user, agent, cli"),
        ({"version": 3}, "the version must be 2, or 1"),
        ({"version": 1, "features": ["o:a"]}, "without features and plans"),
        ({"version": 1, "plans": ["o:a"]}, "without features and plans"),
    ],
)
def test_what_clerk_does_not_write_is_refused(
    clerk: LocalClerk, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        clerk.mint("ada", **options)


@pytest.mark.parametrize("options", [{"organization": {"slug": "acme", "x": 1}}, {"organisation": "acme"}])
def test_an_unknown_option_is_refused(clerk: LocalClerk, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        clerk.mint("ada", **options)
