"""Claims and users of Clerk's as profiles: what is kept, what is absent, what cannot be stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.profiles import (
    DEFAULT_CLAIMS,
    FIELDS,
    ClerkProfile,
    Source,
    UnusableProfile,
    believed,
    in_milliseconds,
    parse_claims_map,
    profile_from_claims,
    profile_from_user,
)
from accounts.clerk.tokens import SessionClaims

NOW = 1_800_000_000_000
MINUTE = 60_000


def of_claims(payload: dict[str, Any], *, mapping: str = DEFAULT_CLAIMS) -> ClerkProfile:
    session = SessionClaims(
        user_id="user_ada",
        session_id="sess_1",
        issued_at=NOW // 1000,
        expires_at=NOW // 1000 + 60,
        authorized_party=None,
        actor=None,
        read_at=NOW // 1000 - 7,
        payload=payload,
    )
    return profile_from_claims(session, mapping=parse_claims_map(mapping))


def of_user(
    data: object, *, source: Source = Source.WEBHOOK, observed_at: int | None = NOW - MINUTE
) -> ClerkProfile:
    return profile_from_user(data, source=source, observed_at=observed_at, now=NOW)


def user(**fields: Any) -> dict[str, Any]:
    return {"id": "user_ada", "updated_at": NOW - 2 * MINUTE} | fields


def address(email: str, *, status: str | None = "verified", key: str = "idn_1") -> dict[str, Any]:
    return {
        "id": key,
        "email_address": email,
        "verification": None if status is None else {"status": status, "strategy": "email_code"},
    }


# Claims


def test_claims_that_are_not_there_say_nothing() -> None:
    profile = of_claims({"sub": "user_ada"})
    assert (profile.clerk_id, profile.values, profile.unusable) == ("user_ada", {}, ())
    assert (profile.source, profile.at) == (Source.CLAIMS, NOW - 7_000)


def test_the_recommended_claims_are_read() -> None:
    said = {
        "email": "ada@example.test",
        "email_verified": True,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "image_url": "https://img.example.test/ada.png",
    }
    assert of_claims(said).values == said


def test_the_names_of_a_javascript_team_are_read() -> None:
    said = {"firstName": "Ada", "lastName": "Lovelace", "imageUrl": "https://img.example.test/a"}
    assert of_claims(said).values == {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "image_url": "https://img.example.test/a",
    }


@pytest.mark.parametrize(
    ("payload", "first_name"),
    [
        ({"first_name": "Ada", "firstName": "Grace"}, "Ada"),
        ({"first_name": None, "firstName": "Grace"}, "Grace"),
        ({"first_name": None, "firstName": None}, ""),
    ],
)
def test_of_alternatives_the_first_that_is_not_null_counts(payload: dict[str, Any], first_name: str) -> None:
    assert of_claims(payload).values == {"first_name": first_name}


def test_a_mapping_of_ones_own() -> None:
    profile = of_claims({"mail": "a@example.test", "email": "b@example.test"}, mapping="email=mail")
    assert profile.values == {"email": "a@example.test"}


UNUSABLE = [
    ("email", "no address"),
    ("email", "a@example.test\x00"),
    ("email", "a b@example.test"),
    ("email", "a" * 250 + "@example.test"),
    ("email", 5),
    ("email", ["a@example.test"]),
    ("email_verified", "true"),
    ("email_verified", 1),
    ("first_name", "null"),
    ("first_name", "undefined"),
    ("first_name", "nul\x00"),
    ("first_name", "\ud800"),
    ("first_name", "x" * 256),
    ("first_name", {"en": "Ada"}),
    ("first_name", True),
    ("last_name", ["Lovelace"]),
    ("image_url", "javascript:alert(1)"),
    ("image_url", "https://img.example.test/" + "x" * 2048),
    ("image_url", 7),
]


@pytest.mark.parametrize(("field", "value"), UNUSABLE)
def test_a_claim_that_cannot_be_stored_counts_as_absent_and_is_named(field: str, value: object) -> None:
    other = "last_name" if field != "last_name" else "first_name"
    profile = of_claims({field: value, other: "Lovelace"})
    assert profile.unusable == (field,)
    assert profile.values == {other: "Lovelace"}


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("email", None, None),
        ("email", "", None),
        ("email", " ada@example.test ", "ada@example.test"),
        ("email_verified", None, None),
        ("first_name", None, ""),
        ("first_name", "  Ada ", "Ada"),
        ("first_name", "x" * 255, "x" * 255),
        ("last_name", "Ковальчук 🌻", "Ковальчук 🌻"),
        ("image_url", "", ""),
    ],
)
def test_a_claim_as_it_is_kept(field: str, value: object, kept: object) -> None:
    assert of_claims({field: value}).values == {field: kept}


# The mapping


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email",
        "email=",
        "=email",
        "email=a|",
        "email=a email=b",
        "email=a,,first_name=b",
        "phone=phone",
        "banned=banned",
        "email=a,email=b",
    ],
)
def test_a_mapping_of_a_bad_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|there twice"):
        parse_claims_map(text)


def test_blanks_in_a_mapping_do_not_matter() -> None:
    assert parse_claims_map(" email = mail , first_name = a | b ") == {
        "email": ("mail",),
        "first_name": ("a", "b"),
    }


# Users


@pytest.mark.parametrize(
    "data", [None, [], "user", {}, {"id": None}, {"id": 5}, {"id": "ada"}, {"id": "user_"}]
)
def test_what_names_nobody_is_refused(data: object) -> None:
    with pytest.raises(UnusableProfile):
        of_user(data)


def test_an_absent_field_is_absent() -> None:
    assert of_user(user()).values == {}


def test_a_null_name_is_an_empty_one() -> None:
    profile = of_user(user(first_name=None, last_name=None, image_url=None))
    assert profile.values == {"first_name": "", "last_name": "", "image_url": ""}


EMAILS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "the primary one among several",
        {
            "primary_email_address_id": "idn_2",
            "email_addresses": [address("a@example.test"), address("b@example.test", key="idn_2")],
        },
        {"email": "b@example.test", "email_verified": True},
    ),
    (
        "not verified",
        {
            "primary_email_address_id": "idn_1",
            "email_addresses": [address("a@example.test", status="failed")],
        },
        {"email": "a@example.test", "email_verified": False},
    ),
    (
        "no verification at all",
        {"primary_email_address_id": "idn_1", "email_addresses": [address("a@example.test", status=None)]},
        {"email": "a@example.test", "email_verified": False},
    ),
    (
        "none is primary",
        {"primary_email_address_id": None, "email_addresses": [address("a@example.test")]},
        {"email": None, "email_verified": False},
    ),
    (
        "the primary one is not in the list",
        {"primary_email_address_id": "idn_9", "email_addresses": []},
        {"email": None, "email_verified": False},
    ),
    (
        "the primary one is null, and yet verified",
        {
            "primary_email_address_id": "idn_1",
            "email_addresses": [{**address("a@example.test"), "email_address": None}],
        },
        {"email": None, "email_verified": False},
    ),
    ("no list", {"primary_email_address_id": "idn_1"}, {}),
    ("a null list", {"primary_email_address_id": "idn_1", "email_addresses": None}, {}),
]


@pytest.mark.parametrize(("fields", "values"), [row[1:] for row in EMAILS], ids=[row[0] for row in EMAILS])
def test_the_address_of_a_user(fields: dict[str, Any], values: dict[str, Any]) -> None:
    assert of_user(user(**fields)).values == values


@pytest.mark.parametrize(
    "addresses",
    ["a@example.test", {"idn_1": "a@example.test"}, [{"id": "idn_1", "email_address": 5}]],
)
def test_addresses_of_another_shape_are_unusable(addresses: object) -> None:
    profile = of_user(user(primary_email_address_id="idn_1", email_addresses=addresses, first_name="Ada"))
    assert (profile.unusable, profile.values) == (("email",), {"first_name": "Ada"})


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        ({"banned": True}, {"banned": True}),
        ({"banned": False}, {"banned": False}),
        ({"banned": False, "deprovisioned": True}, {"banned": True}),
        ({"banned": True, "deprovisioned": False}, {"banned": True}),
        ({"deprovisioned": True}, {"banned": True}),
        ({"deprovisioned": False}, {}),
        ({"locked": True}, {}),
        ({}, {}),
    ],
)
def test_banned_or_deprovisioned_is_banned_and_locked_is_not(
    flags: dict[str, bool], values: dict[str, bool]
) -> None:
    assert of_user(user(**flags)).values == values


@pytest.mark.parametrize(
    ("updated_at", "at"),
    [
        (NOW - 5 * MINUTE, NOW - 5 * MINUTE),
        (NOW + 5 * MINUTE, NOW + 5 * MINUTE),
        (float(NOW - MINUTE), NOW - MINUTE),
        (NOW + 5 * MINUTE + 1, NOW - MINUTE),
        (10**18, NOW - MINUTE),
        (-5, NOW - MINUTE),
        (0, NOW - MINUTE),
        (None, NOW - MINUTE),
        (True, NOW - MINUTE),
        ("soon", NOW - MINUTE),
        (float("nan"), NOW - MINUTE),
    ],
)
def test_a_version_that_cannot_be_believed_is_replaced_by_the_envelopes_time(
    updated_at: object, at: int
) -> None:
    assert of_user(user(updated_at=updated_at)).at == at


def test_without_any_time_to_believe_it_is_now() -> None:
    assert of_user(user(updated_at=None), observed_at=None).at == NOW
    assert of_user(user(updated_at=None), observed_at=NOW * 5).at == NOW


def test_an_answer_of_the_api_also_held_a_second_before_its_date() -> None:
    assert of_user(user(), source=Source.API).true_until == NOW - MINUTE - 1000
    assert of_user(user(), source=Source.WEBHOOK).true_until is None
    assert of_user(user(), source=Source.API, observed_at=None).true_until is None


# Anything at all

TEXT = st.text(["a", "é", "@", ".", " ", "\x00", "\udfff"], max_size=8) | st.sampled_from(
    ["null", "\ud800", "a\x00", "a@b.test", "https://x", "y" * 2100]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ADDRESSES = st.lists(
    st.fixed_dictionaries(
        {"id": st.just("idn_1") | JSON}, optional={"email_address": JSON, "verification": JSON}
    )
)


def assert_storable(profile: ClerkProfile) -> None:
    assert isinstance(profile.at, int)
    assert set(profile.values).isdisjoint(profile.unusable)
    for field, value in profile.values.items():
        assert field in FIELDS
        assert isinstance(value, bool) or value is None or len(value.encode()) <= 2048 * 4
        assert not isinstance(value, str) or "\x00" not in value


@given(
    st.dictionaries(st.sampled_from(["email", "email_verified", "firstName", "last_name", "imageUrl"]), JSON)
)
def test_whatever_the_claims_hold_gives_a_profile_that_can_be_stored(payload: dict[str, Any]) -> None:
    assert_storable(of_claims(payload))


@given(
    st.fixed_dictionaries(
        {"id": st.just("user_ada"), "primary_email_address_id": st.just("idn_1") | JSON},
        optional={
            "email_addresses": ADDRESSES | JSON,
            "first_name": JSON,
            "last_name": JSON,
            "image_url": JSON,
            "banned": JSON,
            "deprovisioned": JSON,
            "updated_at": JSON,
        },
    )
)
def test_whatever_a_user_holds_gives_a_profile_that_can_be_stored(data: dict[str, Any]) -> None:
    assert_storable(of_user(data, source=Source.API))


@given(JSON)
def test_what_is_no_user_raises_nothing_but_a_refusal(data: object) -> None:
    with pytest.raises(UnusableProfile):
        of_user(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "not_an_object"),
        ("user_ada", "not_an_object"),
        (None, "not_an_object"),
        ({}, "no_usable_id"),
        ({"id": "sess_1"}, "no_usable_id"),
    ],
)
def test_what_names_nobody_is_refused_with_a_code(data: object, reason: str) -> None:
    with pytest.raises(UnusableProfile) as caught:
        profile_from_user(data, source=Source.API, observed_at=None, now=1_800_000_000_000)
    assert (caught.value.reason, str(caught.value)) == (reason, reason)


@pytest.mark.parametrize(
    ("moment", "believed_as"),
    [
        (1_800_000_000_000.0, 1_800_000_000_000),
        (1_800_000_300_000, 1_800_000_300_000),
        (1_800_000_300_001, None),
        (100_000_000_001, 100_000_000_001),
        (100_000_000_000, None),
        (1_799_999_999_999.5, None),
        (True, None),
        ("1800000000000", None),
    ],
)
def test_a_time_is_believed_up_to_five_minutes_ahead(moment: object, believed_as: int | None) -> None:
    assert believed(moment, now=1_800_000_000_000) == believed_as


@pytest.mark.parametrize(
    ("moment", "milliseconds"),
    [
        (1, 1_000),
        (1.5, 1_500),
        (1_800_000_000, 1_800_000_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (100_000_000_001, 100_000_000_001),
        (0, 0),
        (-5, -5),
        (True, True),
        ("5", "5"),
        (None, None),
    ],
)
def test_seconds_are_told_by_their_size(moment: object, milliseconds: object) -> None:
    assert in_milliseconds(moment) is milliseconds or in_milliseconds(moment) == milliseconds


@pytest.mark.parametrize("url", ["https://img.example.test/a.png", "http://img.example.test/a.png"])
def test_a_profile_says_who_it_is_of_and_who_told_it(url: str) -> None:
    data = {"id": "user_ada", "image_url": url}
    profile = profile_from_user(data, source=Source.API, observed_at=None, now=1_800_000_000_000)
    assert (profile.clerk_id, profile.source) == ("user_ada", Source.API)
    assert profile.values == {"image_url": url}
