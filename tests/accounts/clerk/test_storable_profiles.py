"""Profiles of arbitrary data can be stored, or the data is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.clerk.profiles import (
    FIELDS,
    ClerkProfile,
    Source,
    UnusableProfile,
)
from tests.accounts.clerk.profiles import profile_of_claims, profile_of_user

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
        assert isinstance(value, bool | str) or value is None
        assert not isinstance(value, str) or len(value.encode()) <= 2048 * 4
        assert not isinstance(value, str) or "\x00" not in value


@given(
    st.dictionaries(st.sampled_from(["email", "email_verified", "firstName", "last_name", "imageUrl"]), JSON)
)
def test_any_claims_give_a_storable_profile(payload: dict[str, Any]) -> None:
    assert_storable(profile_of_claims(payload))


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
def test_any_user_gives_a_storable_profile(data: dict[str, Any]) -> None:
    assert_storable(profile_of_user(data, source=Source.API))


@given(JSON)
def test_any_other_json_is_refused(data: object) -> None:
    with pytest.raises(UnusableProfile):
        profile_of_user(data)
