"""What a session says about features, plans, factors and actor, and when it is decoded."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.session import SessionContents
from accounts.clerk.tokens import InvalidToken
from tests.accounts.clerk.conftest import NOW, Mint
from tests.accounts.clerk.refusals import Build
from tests.accounts.clerk.sessions import session

SLUGS = [
    ("each scope", "o:a,u:b", {"o:a", "u:b"}),
    ("both scopes", "ou:a,uo:b", {"o:a", "u:a", "o:b", "u:b"}),
    ("blanks around commas", " o:a\t,\n u:b ", {"o:a", "u:b"}),
    ("another scope", "x:a,o:b", {"o:b"}),
    ("twice the same letter", "oo:a,uu:b,ouo:c", set()),
    ("an element without a colon spoils the claim", "o:a,b", set()),
    ("an empty element spoils the claim", "o:a,,u:b", set()),
    ("empty", "", set()),
    ("a list", ["o:a"], set()),
    ("null", None, set()),
]


@pytest.mark.parametrize(("claim", "expected"), [row[1:] for row in SLUGS], ids=[row[0] for row in SLUGS])
def test_features_and_plans(claim: Any, expected: set[str]) -> None:
    assert session(v=2, fea=claim).features == expected
    assert session(v=2, pla=claim).plans == expected
    assert session(v=3, fea=claim, pla=claim).features == session(v=3, pla=claim).plans == set()


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ([3, 7], (3, 7)),
        ([0, 1.5], (0, 1.5)),
        ([3, -1], (3, None)),
        ([-1, 3], (None, 3)),
        ([-1, -1], (None, None)),
        ([10**400, 0], (10**400, 0)),
        (None, None),
        ([], None),
        ([3], None),
        ([3, 4, 5], None),
        ("34", None),
        ({"0": 3, "1": 4}, None),
        ([3, None], None),
        ([3, "4"], None),
        ([True, 4], None),
        ([-2, 4], None),
        ([-0.5, 4], None),
        ([3, float("inf")], None),
        ([3, float("nan")], None),
    ],
)
def test_factor_ages(claim: Any, expected: Any) -> None:
    assert session(v=2, fva=claim).factor_ages == expected


def test_factor_ages_absent() -> None:
    assert session(v=2).factor_ages is None


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (None, None),
        ({"sub": "user_support"}, "user"),
        ({"sub": "user_b", "act": {"sub": "cli:a@example.test"}}, "user"),
        ({"sub": "user_agent", "type": "agent"}, "agent"),
        ({"sub": "agent_1", "type": "agent"}, "agent"),
        ({"sub": "cli:operator@example.test"}, "cli"),
        ({"sub": "cli:operator@example.test+deploy"}, "cli"),
        ({"sub": "operator@example.test"}, "other"),
        ({"sub": "user_a@example.test"}, "other"),
        ({"sub": "client:cli:"}, "other"),
        ({"sub": "user_b", "type": ["agent"]}, "user"),
        ({"sub": ["user_b"]}, "other"),
        ({}, "other"),
        ("user_b", "other"),
        (False, "other"),
    ],
)
def test_actor_kind(act: Any, kind: str | None) -> None:
    assert session(v=2, act=act).actor_kind == kind


def test_nothing_is_decoded_before_it_is_used_and_nothing_twice(mint: Mint, verifier: Build) -> None:
    claims = verifier().verify(mint(organization="acme"), now=NOW)

    assert vars(claims) == {}
    assert claims.organization is claims.organization
    assert set(vars(claims)) == {"organization"}


def test_impersonation_that_is_not_allowed_is_refused_for_every_actor(mint: Mint, verifier: Build) -> None:
    strict = verifier(allow_impersonation=False)
    for kind in ("user", "agent", "cli"):
        token = mint(actor_kind=kind)
        assert verifier().verify(token, now=NOW).actor_kind == kind
        with pytest.raises(InvalidToken) as refused:
            strict.verify(token, now=NOW)
        assert refused.value.reason == "impersonation_refused"


def test_representation_and_logs_contain_neither_actor_nor_payload(
    mint: Mint, verifier: Build, caplog: pytest.LogCaptureFixture
) -> None:
    token = mint(actor="operator@example.test", actor_kind="cli", claims={"email": "ada@example.test"})
    with caplog.at_level(logging.DEBUG):
        claims = verifier().verify(token, now=NOW)

    assert claims.actor == "cli:operator@example.test"
    assert "user_ada" in repr(claims)
    assert "@example.test" not in repr(claims) + caplog.text


# Properties

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["o:a", "1", "user_a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"v": st.sampled_from([1, 2]) | JSON},
        optional={
            "o": st.fixed_dictionaries(
                {"id": st.just("org_1") | JSON}, optional=dict.fromkeys(("slg", "rol", "per", "fpm"), JSON)
            )
            | JSON,
            **dict.fromkeys(
                ("fea", "pla", "fva", "act", "org_id", "org_slug", "org_role", "org_permissions"), JSON
            ),
        },
    )
)
def test_no_payload_raises_and_every_text_is_printable(claims: dict[str, Any]) -> None:
    contents: SessionContents = session(**claims)
    texts = [*contents.features, *contents.plans, contents.actor_kind or ""]
    if contents.organization:
        assert contents.organization.id
        texts += [
            contents.organization.id,
            contents.organization.slug or "",
            contents.organization.role or "",
        ]
        texts += contents.organization.permissions

    assert contents.factor_ages is None or len(contents.factor_ages) == 2
    assert [text for text in texts if not text.isprintable()] == []
