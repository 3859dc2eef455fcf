"""Profiles from claims: the mapping, and which values are kept."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.clerk.profiles import (
    Source,
    parse_claims_map,
)
from tests.accounts.clerk.profiles import NOW, profile_of_claims


def test_absent_claims_are_absent_from_the_profile() -> None:
    profile = profile_of_claims({"sub": "user_ada"})
    assert (profile.clerk_id, profile.values, profile.unusable) == ("user_ada", {}, ())
    assert (profile.source, profile.at) == (Source.CLAIMS, NOW - 7_000)


def test_recommended_claims_are_read() -> None:
    claims = {
        "email": "ada@example.test",
        "email_verified": True,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "image_url": "https://img.example.test/ada.png",
    }
    assert profile_of_claims(claims).values == claims


def test_camel_case_claim_names_are_read() -> None:
    claims = {"firstName": "Ada", "lastName": "Lovelace", "imageUrl": "https://img.example.test/a"}
    assert profile_of_claims(claims).values == {
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
def test_first_alternative_that_is_not_null_is_used(payload: dict[str, Any], first_name: str) -> None:
    assert profile_of_claims(payload).values == {"first_name": first_name}


def test_configured_mapping_replaces_the_default() -> None:
    profile = profile_of_claims({"mail": "a@example.test", "email": "b@example.test"}, mapping="email=mail")
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
def test_claim_that_cannot_be_stored_is_absent_and_listed_as_unusable(field: str, value: object) -> None:
    other = "last_name" if field != "last_name" else "first_name"
    profile = profile_of_claims({field: value, other: "Lovelace"})
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
def test_claim_is_cleaned(field: str, value: object, kept: object) -> None:
    assert profile_of_claims({field: value}).values == {field: kept}


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
def test_malformed_mapping_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|appears twice"):
        parse_claims_map(text)


def test_blanks_in_a_mapping_are_ignored() -> None:
    assert parse_claims_map(" email = mail , first_name = a | b ") == {
        "email": ("mail",),
        "first_name": ("a", "b"),
    }


VERIFIED = "email={},email_verified=email_verified"


@pytest.mark.parametrize(
    "claim", ["email", "primary_email", "primaryEmail", "primary_email_address", "primaryEmailAddress"]
)
def test_verification_counts_for_a_claim_with_the_primary_address(claim: str) -> None:
    profile = profile_of_claims(
        {claim: "a@example.test", "email_verified": True}, mapping=VERIFIED.format(claim)
    )
    assert profile.values == {"email": "a@example.test", "email_verified": True}


@pytest.mark.parametrize("mapping", ["work", "work|email", "email|work", "email_verified=v,email=email|work"])
@pytest.mark.parametrize("verified", [True, False, None])
def test_verification_is_left_out_for_a_claim_that_may_hold_another_address(
    mapping: str, verified: object
) -> None:
    text = mapping if "=" in mapping else VERIFIED.format(mapping)
    claims = {"work": "a@example.test", "email": None, "email_verified": verified, "v": verified}
    assert profile_of_claims(claims, mapping=text).values == {"email": "a@example.test"}


def test_verification_counts_if_the_first_alternative_is_the_primary_address() -> None:
    claims = {"work": "w@example.test", "email": "a@example.test", "email_verified": True}
    profile = profile_of_claims(claims, mapping=VERIFIED.format("email|work"))
    assert profile.values == {"email": "a@example.test", "email_verified": True}


def test_statement_on_verification_needs_no_claim_with_an_address() -> None:
    profile = profile_of_claims({"email_verified": True}, mapping="email_verified=email_verified")
    assert profile.values == {"email_verified": True}


@pytest.mark.parametrize("claim", ["unsafe_metadata", "unsafeMetadata"])
def test_claim_that_users_write_themselves_feeds_no_field(claim: str) -> None:
    sentence = f"'{claim}' feeds a field, but users write it themselves: they could set the field to anything"
    with pytest.raises(ValueError, match=f"{sentence}$"):
        parse_claims_map(f"first_name=name,public_metadata=meta|{claim}", extra_fields=("public_metadata",))


def test_claim_for_a_field_that_is_not_stored_is_refused() -> None:
    with pytest.raises(ValueError, match="'locale' is stored only if CLERK_EXTRA_FIELDS names it"):
        parse_claims_map("email=email,locale=locale", extra_fields=("timezone",))
    with pytest.raises(ValueError, match=r"'x' is not a field; the fields are email, .*image_url, locale$"):
        parse_claims_map("x=locale", extra_fields=("locale",))
    assert parse_claims_map("locale=locale|lang", extra_fields=("locale",)) == {"locale": ("locale", "lang")}
