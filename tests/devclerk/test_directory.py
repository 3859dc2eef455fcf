"""The store: order, changes, announcements."""

from __future__ import annotations

import tracemalloc

import pytest

from devclerk.directory import Directory, UnknownPerson
from devclerk.events import Change, Faults
from devclerk.people import seeded_people

SEEDED = len(seeded_people())


class Heard(list[Change]):
    """The changes announced, by type."""

    @property
    def types(self) -> list[str]:
        return [change.type for change in self]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def directory(heard: Heard) -> Directory:
    return Directory(announce=heard.append, users=50)


def test_people_come_in_the_order_of_their_sign_up(directory: Directory) -> None:
    directory.create(handle="late")
    directory.create(handle="early", created_at=1)
    people = directory.people()
    assert [person.created_at for person in people] == sorted(person.created_at for person in people)
    assert (people[0].handle, people[-1].handle) == ("early", "late")
    assert directory.people(descending=True) == people[::-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 7, 50, 100])
def test_pages_by_cursor_hold_everybody_once(directory: Directory, *, size: int, descending: bool) -> None:
    directory.create(handle="late")
    walked, cursor = [], None
    while page := directory.people(after=cursor, limit=size, descending=descending):
        walked += page
        cursor = page[-1]
    assert walked == directory.people(descending=descending)
    assert len(walked) == len(directory) == SEEDED + 51


def test_a_person_is_found_by_handle_id_and_email(directory: Directory) -> None:
    ada = directory.find("ada")
    assert directory.find(ada.id) == directory.find("ada@example.test") == ada
    number_7 = directory.find("person7")
    assert directory.find(number_7.id) == directory.find("person7@example.test") == number_7


@pytest.mark.parametrize("name", ["", "nobody", "person50", "user_2nobody", "person0@example.test"])
def test_a_stranger_is_not_found(directory: Directory, name: str) -> None:
    with pytest.raises(UnknownPerson, match="Nobody is called"):
        directory.find(name)


@pytest.mark.parametrize("name", ["ada", "person7"])
def test_each_change_is_later_than_the_one_before(directory: Directory, heard: Heard, name: str) -> None:
    person = directory.find(name)
    for number in range(3):
        person = directory.update(person, first_name=str(number))
    assert directory.find(name) == person
    times = [change.person.updated_at for change in heard]
    assert times == sorted(set(times))
    assert heard.types == ["user.updated"] * 3


def test_a_change_builds_on_the_person_as_they_are_now(directory: Directory) -> None:
    before = directory.find("ada")
    directory.update(before, first_name="Augusta")
    directory.update(before, last_name="King")
    now = directory.find("ada")
    assert (now.first_name, now.last_name) == ("Augusta", "King")


@pytest.mark.parametrize("name", ["ada", "person7"])
def test_a_deleted_person_is_gone_and_cannot_be_changed(
    directory: Directory, heard: Heard, name: str
) -> None:
    person = directory.find(name)
    directory.update(person, first_name="X")
    directory.delete(person)
    assert directory.get(person.id) is None
    assert person.id not in {one.id for one in directory.people()}
    assert len(directory) == SEEDED + 49
    with pytest.raises(UnknownPerson):
        directory.update(person, first_name="Y")
    with pytest.raises(UnknownPerson):
        directory.delete(person)
    assert heard.types == ["user.updated", "user.deleted"]


def test_an_announcement_carries_its_faults_and_an_id_of_its_own(directory: Directory, heard: Heard) -> None:
    faults = Faults(copies=3)
    directory.create(handle="bob", faults=faults)
    directory.create(handle="eve")
    assert [change.faults for change in heard] == [faults, Faults()]
    assert heard[0].svix_id != heard[1].svix_id


def test_nobody_signs_up_twice(directory: Directory) -> None:
    with pytest.raises(ValueError, match="signed up already"):
        directory.create(id=directory.find("ada").id)


def test_a_reset_brings_back_the_start(directory: Directory, heard: Heard) -> None:
    directory.delete(directory.find("ada"))
    directory.delete(directory.find("person7"))
    heard.clear()
    directory.reset(users=50)
    assert directory.find("ada").first_name == "Ada"
    assert len(directory) == SEEDED + 50
    assert heard == []


def test_half_a_million_people_take_hardly_any_memory() -> None:
    tracemalloc.start()
    try:
        directory = Directory(announce=lambda _: None, users=500_000)
        page = directory.people(after=directory.find("person499000"), limit=500)
        assert (len(page), page[0].handle) == (500, "person499001")
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
