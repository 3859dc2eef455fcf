"""Ids of Clerk users."""

from __future__ import annotations

import pytest

from accounts.clerk.ids import is_clerk_id


@pytest.mark.parametrize("value", ["user_a", "user_2abcXYZ019", "user_" + "x" * 59])
def test_id_of_a_user(value: str) -> None:
    assert is_clerk_id(value)


@pytest.mark.parametrize(
    "value",
    [None, 5, b"user_a", ["user_a"], "", "user_", "user_" + "x" * 60, "mch_a", "xuser_a", "user_a b",
     "user_é", "user_a\n", "USER_a", "user_a-b", "user_\u0661"],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_id(value: object) -> None:
    assert not is_clerk_id(value)
