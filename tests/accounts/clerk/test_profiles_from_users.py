"""Profiles from Backend API users and user events."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.clerk.profiles import (
    Source,
    UnusableProfile,
    profile_from_user,
)
from tests.accounts.clerk.profiles import NOW, profile_of_user

MINUTE = 60_000


def user(**fields: Any) -> dict[str, Any]:
    return {"id": "user_ada", "updated_at": NOW - 2 * MINUTE} | fields


def address(email: str, *, status: str | None = "verified", key: str = "idn_1") -> dict[str, Any]:
    return {
        "id": key,
        "email_address": email,
        "verification": None if status is None else {"status": status, "strategy": "email_code"},
    }


@pytest.mark.parametrize(
    "data", [None, [], "user", {}, {"id": None}, {"id": 5}, {"id": "ada"}, {"id": "user_"}]
)
def test_data_without_a_user_id_is_refused(data: object) -> None:
    with pytest.raises(UnusableProfile):
        profile_of_user(data)


def test_absent_fields_are_absent_from_the_profile() -> None:
    assert profile_of_user(user()).values == {}


def test_null_names_are_empty_strings() -> None:
    profile = profile_of_user(user(first_name=None, last_name=None, image_url=None))
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
def test_primary_address_is_the_email(fields: dict[str, Any], values: dict[str, Any]) -> None:
    assert profile_of_user(user(**fields)).values == values


@pytest.mark.parametrize(
    "addresses",
    ["a@example.test", {"idn_1": "a@example.test"}, [{"id": "idn_1", "email_address": 5}]],
)
def test_addresses_of_another_shape_are_unusable(addresses: object) -> None:
    profile = profile_of_user(
        user(primary_email_address_id="idn_1", email_addresses=addresses, first_name="Ada")
    )
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
    assert profile_of_user(user(**flags)).values == values


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
def test_implausible_version_is_replaced_by_the_time_of_the_envelope(updated_at: object, at: int) -> None:
    assert profile_of_user(user(updated_at=updated_at)).at == at


def test_version_without_any_plausible_time_is_now() -> None:
    assert profile_of_user(user(updated_at=None), observed_at=None).at == NOW
    assert profile_of_user(user(updated_at=None), observed_at=NOW * 5).at == NOW


def test_api_answer_holds_until_a_second_before_its_date() -> None:
    assert profile_of_user(user(), source=Source.API).true_until == NOW - MINUTE - 1000
    assert profile_of_user(user(), source=Source.WEBHOOK).true_until is None
    assert profile_of_user(user(), source=Source.API, observed_at=None).true_until is None


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
def test_refusal_has_a_code(data: object, reason: str) -> None:
    with pytest.raises(UnusableProfile) as caught:
        profile_from_user(data, source=Source.API, observed_at=None, now=1_800_000_000_000)
    assert (caught.value.reason, str(caught.value)) == (reason, reason)


@pytest.mark.parametrize("url", ["https://img.example.test/a.png", "http://img.example.test/a.png"])
def test_profile_has_the_user_id_and_the_source(url: str) -> None:
    data = {"id": "user_ada", "image_url": url}
    profile = profile_from_user(data, source=Source.API, observed_at=None, now=1_800_000_000_000)
    assert (profile.clerk_id, profile.source) == ("user_ada", Source.API)
    assert profile.values == {"image_url": url}
