"""The declared fields: how each is read, cleaned and compared."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.fields import (
    COLUMNS,
    EXTRA,
    METADATA_MAX_BYTES,
    METADATA_MAX_DEPTH,
    UnusableValue,
    is_equal,
    parse_extra_fields,
    sort_text,
)
from accounts.clerk.profiles import DEFAULT_CLAIMS, Source
from tests.accounts.clerk.profiles import profile_of_claims, profile_of_user

PHONE = "+491701234567"
ALL = tuple(EXTRA)
WITH_EXTRA = f"{DEFAULT_CLAIMS},{','.join(f'{name}={name}' for name in EXTRA)}"


def phone(**fields: Any) -> dict[str, Any]:
    """Return a user whose primary phone number has these fields."""
    item = {"id": "idn_1", "phone_number": PHONE, "verification": {"status": "verified"}} | fields
    return {"id": "user_ada", "primary_phone_number_id": "idn_1", "phone_numbers": [{"id": "idn_0"}, item]}


def read(user: dict[str, Any], *names: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values that a Backend API user has of these fields, and the unusable ones."""
    profile = profile_of_user({"id": "user_ada"} | user, extra_fields=names)
    return dict(profile.values), profile.unusable


def test_fields_have_the_order_of_the_columns_and_of_the_setting() -> None:
    assert list(COLUMNS) == ["email", "email_verified", "first_name", "last_name", "image_url", "banned"]
    assert list(EXTRA) == ["username", "phone_number", "locale", "timezone", "public_metadata"]


def test_only_the_ban_is_no_personal_field_and_fed_by_no_claim() -> None:
    assert [name for name, field in COLUMNS.items() if not field.is_personal] == ["banned"]
    assert [name for name, field in COLUMNS.items() if not field.claims] == ["banned"]
    assert DEFAULT_CLAIMS == (
        "email=email,email_verified=email_verified,first_name=first_name|firstName,"
        "last_name=last_name|lastName,image_url=image_url|imageUrl"
    )


def test_null_is_stored_as_the_empty_value() -> None:
    empty = {name: field.empty for name, field in COLUMNS.items()}
    assert empty == {
        "email": None,
        "email_verified": False,
        "first_name": "",
        "last_name": "",
        "image_url": "",
        "banned": False,
    }
    assert {field.empty for field in EXTRA.values()} == {None}


@pytest.mark.parametrize("names", [(), ALL, ["locale"], ("public_metadata", "phone_number")])
def test_setting_is_a_list_of_names(names: Any) -> None:
    assert parse_extra_fields(names) == tuple(names)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("unsafe_metadata",), "'unsafe_metadata' is never stored: a user's own browser writes it, so"),
        (("private_metadata",), "'private_metadata' is never stored: it may hold secrets"),
        (("email",), "'email' has a column of its own and is always stored"),
        (("locale", "shoe_size"), "'shoe_size' is not a further field; these are username, phone_number, "),
        (("Locale",), "'Locale' is not a further field"),
        (("locale", "timezone", "locale"), "'locale' appears twice"),
        ("locale", "it is not a list of names"),
        (None, "it is not a list of names"),
        ({"locale": 1}, "it is not a list of names"),
        ((["locale"],), "it is not a list of names"),
    ],
)
def test_setting_that_cannot_be_used_is_refused_with_a_sentence(names: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"\A") as refusal:
        parse_extra_fields(names)
    assert str(refusal.value).startswith(sentence)


def test_fields_that_the_setting_does_not_name_are_not_read() -> None:
    user = phone(username="ada") | {"username": "ada", "locale": "en-GB", "public_metadata": {"plan": "pro"}}
    assert read(user) == ({}, ())
    assert read(user, "locale", "username") == ({"locale": "en-GB", "username": "ada"}, ())


@pytest.mark.parametrize("name", ["username", "locale", "timezone"])
@pytest.mark.parametrize(
    ("value", "kept"),
    [(" x ", "x"), ("x" * 255, "x" * 255), ("", None), (None, None), ("7", "7")],
)
def test_text_is_read(name: str, value: object, kept: object) -> None:
    assert read({name: value}, name) == ({name: kept}, ())


@pytest.mark.parametrize("name", ["username", "locale", "timezone"])
@pytest.mark.parametrize("value", [7, True, ["x"], {"x": 1}, "x" * 256, "a\x00", "\ud800", "null"])
def test_text_that_cannot_be_stored_is_unusable(name: str, value: object) -> None:
    assert read({name: value}, name) == ({}, (name,))


@pytest.mark.parametrize(
    ("user", "number"),
    [
        (phone(), PHONE),
        (phone(verification={"status": "unverified"}), None),
        (phone(verification={"status": "expired"}), None),
        (phone(verification="verified"), None),
        (phone(verification=None), None),
        (phone(phone_number=None), None),
        (phone() | {"primary_phone_number_id": None}, None),
        (phone() | {"primary_phone_number_id": "idn_0"}, None),
        (phone() | {"primary_phone_number_id": "idn_of_another"}, None),
        ({"phone_numbers": [], "primary_phone_number_id": "idn_1"}, None),
        ({"phone_numbers": ["idn_1", None], "primary_phone_number_id": "idn_1"}, None),
    ],
)
def test_phone_number_is_the_primary_one_while_it_is_verified(
    user: dict[str, Any], number: str | None
) -> None:
    assert read(user, "phone_number") == ({"phone_number": number}, ())


@pytest.mark.parametrize("user", [{}, {"phone_numbers": None, "primary_phone_number_id": "idn_1"}])
def test_user_without_a_list_of_numbers_says_nothing_about_them(user: dict[str, Any]) -> None:
    assert read(user, "phone_number") == ({}, ())


@pytest.mark.parametrize("user", [{"phone_numbers": {}}, {"phone_numbers": "x"}, phone(phone_number=49)])
def test_phone_number_of_another_form_is_unusable(user: dict[str, Any]) -> None:
    assert read(user, "phone_number") == ({}, ("phone_number",))


@pytest.mark.parametrize(
    ("payload", "values"),
    [
        ({"phone_number": PHONE, "phone_number_verified": True}, {"phone_number": PHONE}),
        ({"phone_number": PHONE}, {}),
        ({"phone_number": PHONE, "phone_number_verified": None}, {}),
        ({"phone_number": PHONE, "phone_number_verified": False}, {"phone_number": None}),
        ({"phone_number": PHONE, "phone_number_verified": "true"}, {"phone_number": None}),
        ({"phone_number": PHONE, "phone_number_verified": 1}, {"phone_number": None}),
        ({"phone_number": None, "phone_number_verified": True}, {"phone_number": None}),
        ({"phone_number_verified": True}, {}),
    ],
)
def test_phone_number_of_a_claim_counts_only_beside_its_verification(
    payload: dict[str, Any], values: dict[str, Any]
) -> None:
    assert profile_of_claims(payload, mapping=WITH_EXTRA, extra_fields=ALL).values == values


def test_phone_number_without_its_verification_leaves_the_fields_after_it() -> None:
    mapping = "phone_number=phone_number,first_name=first_name"
    claims = {"phone_number": PHONE, "first_name": "Ada"}
    profile = profile_of_claims(claims, mapping=mapping, extra_fields=ALL)
    assert profile.values == {"first_name": "Ada"}


def test_claims_feed_further_fields() -> None:
    claims = {"username": "ada", "locale": "en-GB", "timezone": "Europe/London", "public_metadata": {"a": 1}}
    profile = profile_of_claims(claims, mapping=WITH_EXTRA, extra_fields=ALL)
    assert (profile.values, profile.has_extra) == (claims, True)


def test_profile_without_further_fields_needs_no_extra() -> None:
    assert not profile_of_claims({"email": "a@example.test"}, mapping=WITH_EXTRA, extra_fields=ALL).has_extra


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        ({}, {}),
        ({"b": [1, "x", None, True], "a": {"c": 0.5}}, {"a": {"c": 0.5}, "b": [1, "x", None, True]}),
        ({"a": 2.0, "b": [1e22, -0.0]}, {"a": 2, "b": [10**22, 0]}),
        ({"": "é 🌻"}, {"": "é 🌻"}),
    ],
)
def test_metadata_is_kept_as_a_json_column_returns_it(value: object, kept: object) -> None:
    values, unusable = read({"public_metadata": value}, "public_metadata")
    assert (unusable, is_equal(values["public_metadata"], kept)) == ((), True)


def nested(levels: int) -> dict[str, Any]:
    """Return objects and arrays in one another, this number of levels deep."""
    value: Any = "x"
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


@pytest.mark.parametrize(
    "value",
    [
        "x",
        5,
        True,
        ["x"],
        {"a": math.nan},
        {"a": [math.inf]},
        {"a": -math.inf},
        {"a": "b\x00"},
        {"a\x00": "b"},
        {"a": {"\ud800": 1}},
        {"a": ["\udfff"]},
        {"a": 10**5000},
        nested(METADATA_MAX_DEPTH + 1),
        nested(5_000),
    ],
)
def test_metadata_that_cannot_be_stored_is_unusable(value: object) -> None:
    assert read({"public_metadata": value}, "public_metadata") == ({}, ("public_metadata",))


def test_metadata_is_stored_up_to_the_limits() -> None:
    deep = nested(METADATA_MAX_DEPTH)
    fits = {"a": "é" * ((METADATA_MAX_BYTES - len('{"a":""}')) // 2)}
    assert len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode()) == METADATA_MAX_BYTES
    for value in (deep, fits):
        assert read({"public_metadata": value}, "public_metadata") == ({"public_metadata": value}, ())
    too_large = {"a": f"{fits['a']}x"}
    assert read({"public_metadata": too_large}, "public_metadata") == ({}, ("public_metadata",))


def test_metadata_that_is_not_stored_leaves_the_other_fields() -> None:
    user = {"public_metadata": {"a": math.nan}, "first_name": "Ada", "locale": "en"}
    assert read(user, *ALL) == ({"first_name": "Ada", "locale": "en"}, ("public_metadata",))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({}, None, False),
        ("x", "x", True),
        (None, "", False),
    ],
)
def test_values_are_equal_if_they_are_the_same_json(one: object, other: object, expected: bool) -> None:  # noqa: FBT001
    assert (is_equal(one, other), is_equal(other, one)) == (expected, expected)


def test_order_of_two_values_does_not_depend_on_the_order_of_their_keys() -> None:
    assert sort_text({"a": 1, "b": "é"}) == sort_text({"b": "é", "a": 1}) == '{"a":1,"b":"é"}'
    values: list[object] = ["x", None, True, False, {}]
    assert [sort_text(value) for value in values] == ["x", "", "True", "", "{}"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_stored_metadata_equals_what_a_json_column_returns(value: dict[str, Any]) -> None:
    try:
        cleaned = EXTRA["public_metadata"].clean(value)
    except UnusableValue:
        return
    assert is_equal(cleaned, json.loads(json.dumps(cleaned)))
    assert EXTRA["public_metadata"].clean(cleaned) == cleaned


@given(st.dictionaries(st.sampled_from([*ALL, "phone_numbers", "primary_phone_number_id"]), JSON))
def test_any_user_gives_a_profile_with_each_field_at_most_once(user: dict[str, Any]) -> None:
    profile = profile_of_user({"id": "user_ada"} | user, source=Source.API, extra_fields=ALL)
    assert set(profile.values).isdisjoint(profile.unusable)
    assert {*profile.values, *profile.unusable} <= {*ALL}
