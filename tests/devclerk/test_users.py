"""The seeded and the generated users."""

from __future__ import annotations

import re

from devclerk.users import (
    generated_key,
    generated_number,
    generated_user,
    new_id,
    seeded_users,
)

SEEDED = {user.handle: user for user in seeded_users()}


def test_every_id_has_clerks_format() -> None:
    ids = [user.id for user in SEEDED.values()] + [generated_user(499_999).id, new_id()]
    assert all(re.fullmatch(r"user_[A-Za-z0-9]{10,59}", user_id) for user_id in ids)


def test_the_seeded_users_are_the_same_at_every_start() -> None:
    assert seeded_users() == seeded_users()


def test_there_is_a_seeded_user_for_every_case() -> None:
    assert SEEDED["ada"].email_verified
    assert SEEDED["grace"].email is None
    assert not SEEDED["alan"].email_verified
    assert SEEDED["nameless"].first_name is None
    assert SEEDED["mallory"].banned
    assert not (SEEDED["yuki"].first_name or "").isascii()
    assert 200 < len(SEEDED["long"].first_name or "") <= 255


def test_a_user_without_an_address_is_unverified() -> None:
    assert SEEDED["grace"].claims()["email_verified"] is False


def test_a_generated_user_is_the_same_each_time() -> None:
    assert generated_user(41) == generated_user(41)


def test_a_generated_user_is_found_by_id_handle_and_email() -> None:
    user = generated_user(41)
    assert [generated_number(str(name)) for name in (user.id, user.handle, user.email)] == [41, 41, 41]


def test_another_name_has_no_number() -> None:
    assert generated_number("ada") is None


def test_generated_users_sign_up_in_the_order_of_their_ids() -> None:
    keys = [generated_key(number) for number in range(2000)]
    assert keys == sorted(keys)
    assert [key[1] for key in keys] == sorted(key[1] for key in keys)
