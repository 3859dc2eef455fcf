"""Who is there at the start."""

from __future__ import annotations

import re

from devclerk.people import (
    made_up_key,
    made_up_number,
    made_up_person,
    new_id,
    seeded_people,
)

PEOPLE = {person.handle: person for person in seeded_people()}


def test_every_id_has_the_form_of_clerks() -> None:
    ids = [person.id for person in PEOPLE.values()] + [made_up_person(499_999).id, new_id()]
    assert all(re.fullmatch(r"user_[A-Za-z0-9]{10,59}", user_id) for user_id in ids)


def test_the_seeded_people_are_the_same_at_every_start() -> None:
    assert seeded_people() == seeded_people()


def test_there_is_a_person_for_every_story() -> None:
    assert PEOPLE["ada"].email_verified
    assert PEOPLE["grace"].email is None
    assert not PEOPLE["alan"].email_verified
    assert PEOPLE["nameless"].first_name is None
    assert PEOPLE["mallory"].banned
    assert not (PEOPLE["yuki"].first_name or "").isascii()
    assert 200 < len(PEOPLE["long"].first_name or "") <= 255


def test_somebody_without_an_address_has_verified_none() -> None:
    assert PEOPLE["grace"].claims()["email_verified"] is False


def test_a_made_up_person_is_the_same_each_time() -> None:
    assert made_up_person(41) == made_up_person(41)


def test_a_made_up_person_is_known_by_id_handle_and_email() -> None:
    person = made_up_person(41)
    assert [made_up_number(str(name)) for name in (person.id, person.handle, person.email)] == [41, 41, 41]


def test_a_stranger_has_no_number() -> None:
    assert made_up_number("ada") is None


def test_made_up_people_signed_up_in_the_order_of_their_ids() -> None:
    keys = [made_up_key(number) for number in range(2000)]
    assert keys == sorted(keys)
    assert [key[1] for key in keys] == sorted(key[1] for key in keys)
