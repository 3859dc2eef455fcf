"""What a session says about its organization, the role and the permissions, in both versions of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.session import Organization, strip_org
from devclerk.claims import session_claims
from tests.accounts.clerk.conftest import NOW, Mint
from tests.accounts.clerk.refusals import Build
from tests.accounts.clerk.sessions import session

ACME: dict[str, Any] = {"id": "org_1", "slg": "acme", "rol": "admin"}
BITS = 200  # more than a machine word has


def permissions(fea: Any, per: Any, fpm: Any) -> set[str]:
    organization = session(v=2, fea=fea, o=ACME | {"per": per, "fpm": fpm}).organization
    assert organization is not None
    return set(organization.permissions)


PERMISSIONS = [
    ("each bit is a permission, the lowest first", "o:a,o:b", "read,write", "1,2", {"a:read", "b:write"}),
    ("several bits", "o:a", "read,write,delete", "5", {"a:read", "a:delete"}),
    ("no bits", "o:a", "read", "0", set()),
    ("leading zeros", "o:a", "read,write", "002", {"a:write"}),
    ("features of the user have no number", "u:x,o:a,u:y,o:b", "read", "1,1", {"a:read", "b:read"}),
    ("features of both have a number", "ou:a,uo:b,o:c", "read", "1,0,1", {"a:read", "c:read"}),
    ("other scopes have no number", "x:a,:b,oo:c,o:d", "read", "1", {"d:read"}),
    ("blanks around commas", " o:a , o:b ", " read , write ", " 1 , 2 ", {"a:read", "b:write"}),
    ("a bit beyond the permissions", "o:a", "read", "3", {"a:read"}),
    ("a number beyond the features", "o:a", "read", "1,1", {"a:read"}),
    ("a feature beyond the numbers", "o:a,o:b", "read", "1", {"a:read"}),
    ("bit 70", "o:a", ",".join(f"p{n}" for n in range(71)), str(1 << 70), {"a:p70"}),
    ("a number that is no decimal grants nothing", "o:a,o:b", "read", "0x1,1", {"b:read"}),
    ("a sign", "o:a", "read", "+1", set()),
    ("a negative number", "o:a", "read", "-1", set()),
    ("an underscore", "o:a", "read,write", "1_1", set()),
    ("digits beyond ASCII", "o:a", "read", "\u0661", set()),
    ("superscript digits", "o:a", "read", "\u00b9", set()),
    ("an empty number", "o:a,o:b", "read", ",1", {"b:read"}),
    ("more digits than Python converts", "o:a,o:b", "read", "1" * 4301 + ",1", {"b:read"}),
    ("an element without a colon spoils the claim", "o:a,b", "read", "1", set()),
    ("an empty element spoils the claim", "o:a,", "read", "1", set()),
    ("half a surrogate pair in fea", "o:a\ud800", "read", "1", set()),
    ("half a surrogate pair in per", "o:a", "read\ud800", "1", set()),
    ("fea no text", ["o:a"], "read", "1", set()),
    ("per no text", "o:a", ["read"], "1", set()),
    ("fpm a number", "o:a", "read", 1, set()),
    ("fea absent", None, "read", "1", set()),
    ("per empty", "o:a", "", "1", set()),
    ("fpm empty", "o:a", "read", "", set()),
]


@pytest.mark.parametrize(
    ("fea", "per", "fpm", "expected"), [row[1:] for row in PERMISSIONS], ids=[row[0] for row in PERMISSIONS]
)
def test_permissions_of_version_2(fea: Any, per: Any, fpm: Any, expected: set[str]) -> None:
    assert permissions(fea, per, fpm) == {f"org:{name}" for name in expected}


ORGANIZATIONS = [
    ("version 2", {"v": 2, "o": ACME}, ("org_1", "acme", "admin")),
    ("version 2 without slug and role", {"v": 2, "o": {"id": "org_1"}}, ("org_1", None, None)),
    (
        "version 2, a role with its prefix",
        {"v": 2, "o": ACME | {"rol": "org:admin"}},
        ("org_1", "acme", "admin"),
    ),
    ("version 2, a role that is no text", {"v": 2, "o": ACME | {"rol": ["admin"]}}, ("org_1", "acme", None)),
    ("version 2, a role that is empty", {"v": 2, "o": ACME | {"rol": "org:"}}, ("org_1", "acme", None)),
    ("version 2, a slug that is empty", {"v": 2, "o": ACME | {"slg": ""}}, ("org_1", None, "admin")),
    (
        "version 2, a slug that is unprintable",
        {"v": 2, "o": ACME | {"slg": "\ud800"}},
        ("org_1", None, "admin"),
    ),
    ("version 2 without an id", {"v": 2, "o": {"slg": "acme", "rol": "admin"}}, None),
    ("version 2, an id that is empty", {"v": 2, "o": ACME | {"id": ""}}, None),
    ("version 2, an id that is no text", {"v": 2, "o": ACME | {"id": 1}}, None),
    ("version 2, an id that is unprintable", {"v": 2, "o": ACME | {"id": "org_\udfff"}}, None),
    ("version 2, o a text", {"v": 2, "o": "org_1"}, None),
    ("version 2, o a list", {"v": 2, "o": [ACME]}, None),
    ("version 2, o null", {"v": 2, "o": None}, None),
    ("version 2, only a flat id", {"v": 2, "org_id": "org_1", "org_role": "org:admin"}, None),
    (
        "version 1",
        {"org_id": "org_1", "org_slug": "acme", "org_role": "org:admin"},
        ("org_1", "acme", "admin"),
    ),
    ("version 1, as a number", {"v": 1, "org_id": "org_1"}, ("org_1", None, None)),
    ("version 1, its id alone", {"org_id": "org_1"}, ("org_1", None, None)),
    ("version 1 with o", {"o": ACME}, None),
    ("no organization", {"v": 2}, None),
    ("nothing", {}, None),
    ("version 3", {"v": 3, "o": ACME, "org_id": "org_1"}, None),
    ("version null", {"v": None, "o": ACME, "org_id": "org_1"}, None),
    ("version true", {"v": True, "o": ACME, "org_id": "org_1"}, None),
    ("version a text", {"v": "2", "o": ACME, "org_id": "org_1"}, None),
    ("version a list", {"v": [2], "o": ACME, "org_id": "org_1"}, None),
]


@pytest.mark.parametrize(
    ("claims", "expected"), [row[1:] for row in ORGANIZATIONS], ids=[row[0] for row in ORGANIZATIONS]
)
def test_organization(claims: dict[str, Any], expected: tuple[str, str | None, str | None] | None) -> None:
    found = session(**claims).organization

    assert (found and (found.id, found.slug, found.role)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["org:a:read", "org:b:write"], {"org:a:read", "org:b:write"}),
        ([], set()),
        (None, set()),
        ("org:a:read", set()),
        (["org:a:read", 1], set()),
        (["org:a:read", "\ud800"], set()),
        ({"org:a:read": True}, set()),
    ],
)
def test_permissions_of_version_1(names: Any, expected: set[str]) -> None:
    organization = session(org_id="org_1", org_permissions=names).organization

    assert organization is not None
    assert organization.permissions == expected


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("org:admin", "admin"),
        ("org:org:admin", "admin"),
        ("admin", "admin"),
        ("organization", "organization"),
    ],
)
def test_prefix_is_removed(name: str, stripped: str) -> None:
    assert strip_org(name) == stripped


def test_verified_tokens_of_both_versions_say_the_same(mint: Mint, verifier: Build) -> None:
    acme = {"slug": "acme", "role": "admin", "permissions": ["reports:read", "files:write"], "id": "org_1"}
    expected = Organization(
        id="org_1",
        slug="acme",
        role="admin",
        permissions=frozenset({"org:reports:read", "org:files:write"}),
    )

    for version in (1, 2):
        claims = verifier().verify(mint(organization=acme, version=version), now=NOW)
        assert claims.organization == expected


# Properties

SLUG = st.text("abcxyz019_-", min_size=1, max_size=6)


@st.composite
def grants(draw: st.DrawFn) -> tuple[list[str], list[str], list[int]]:
    """Return elements of `fea`, permission names, and a number of up to BITS bits for each org feature."""
    slugs = draw(st.lists(SLUG, max_size=8, unique=True))
    features = [f"{draw(st.sampled_from(['o', 'u', 'ou', 'uo']))}:{slug}" for slug in slugs]
    names = draw(st.lists(SLUG, min_size=1, max_size=BITS, unique=True))
    count = sum("o" in feature.partition(":")[0] for feature in features)
    number = st.integers(0, (1 << len(names)) - 1) | st.just((1 << len(names)) - 1)
    return features, names, draw(st.lists(number, min_size=count, max_size=count))


@given(grants())
def test_every_permission_of_a_feature_map_is_decoded(grants: tuple[list[str], list[str], list[int]]) -> None:
    features, names, numbers = grants
    slugs = [slug for scope, slug in (one.split(":") for one in features) if "o" in scope]
    # The digits of a binary number, the lowest last: independent of how the decoder reads bits.
    expected = {
        f"org:{slug}:{name}"
        for slug, number in zip(slugs, numbers, strict=True)
        for name, digit in zip(names, reversed(f"{number:0{BITS}b}"), strict=False)
        if digit == "1"
    }

    assert permissions(",".join(features), ",".join(names), ",".join(map(str, numbers))) == expected


@given(st.lists(st.tuples(SLUG, SLUG), max_size=80, unique=True), st.sampled_from([1, 2]))
def test_what_the_emulator_writes_is_read(pairs: list[tuple[str, str]], version: int) -> None:
    names = [f"{feature}:{name}" for feature, name in pairs]
    claims = session_claims(organization={"slug": "acme", "permissions": names}, version=version)
    found = session(**claims, **({"v": 2} if version == 2 else {})).organization

    assert found is not None
    assert found.permissions == {f"org:{name}" for name in names}
