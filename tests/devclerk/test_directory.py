"""The store of users: order, changes and their events."""

from __future__ import annotations

import tracemalloc

import pytest

from devclerk.directory import Directory, UnknownUser
from devclerk.events import Change, Faults
from devclerk.users import seeded_users

SEEDED = len(seeded_users())


class Changes(list[Change]):
    """The changes that the directory reported."""

    @property
    def types(self) -> list[str]:
        return [change.type for change in self]


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def directory(changes: Changes) -> Directory:
    return Directory(on_change=changes.append, users=50)


def test_users_are_listed_in_the_order_of_their_sign_up(directory: Directory) -> None:
    directory.create(handle="late")
    directory.create(handle="early", created_at=1)
    users = directory.list_users()
    assert [user.created_at for user in users] == sorted(user.created_at for user in users)
    assert (users[0].handle, users[-1].handle) == ("early", "late")
    assert directory.list_users(descending=True) == users[::-1]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [1, 7, 50, 100])
def test_pages_by_cursor_hold_each_user_once(directory: Directory, *, size: int, descending: bool) -> None:
    directory.create(handle="late")
    listed, cursor = [], None
    while page := directory.list_users(after=cursor, limit=size, descending=descending):
        listed += page
        cursor = page[-1]
    assert listed == directory.list_users(descending=descending)
    assert len(listed) == len(directory) == SEEDED + 51


def test_a_user_is_found_by_handle_id_and_email(directory: Directory) -> None:
    ada = directory.find("ada")
    assert directory.find(ada.id) == directory.find("ada@example.test") == ada
    number_7 = directory.find("person7")
    assert directory.find(number_7.id) == directory.find("person7@example.test") == number_7


@pytest.mark.parametrize("name", ["", "unknown", "person50", "user_2unknown", "person0@example.test"])
def test_an_unknown_name_is_not_found(directory: Directory, name: str) -> None:
    with pytest.raises(UnknownUser, match="No user is called"):
        directory.find(name)


@pytest.mark.parametrize("name", ["ada", "person7"])
def test_each_change_has_a_later_time(directory: Directory, changes: Changes, name: str) -> None:
    user = directory.find(name)
    for number in range(3):
        user = directory.update(user, first_name=str(number))
    assert directory.find(name) == user
    times = [change.user.updated_at for change in changes]
    assert times == sorted(set(times))
    assert changes.types == ["user.updated"] * 3


def test_an_update_keeps_earlier_changes(directory: Directory) -> None:
    before = directory.find("ada")
    directory.update(before, first_name="Augusta")
    directory.update(before, last_name="King")
    now = directory.find("ada")
    assert (now.first_name, now.last_name) == ("Augusta", "King")


@pytest.mark.parametrize("name", ["ada", "person7"])
def test_a_deleted_user_cannot_be_changed(directory: Directory, changes: Changes, name: str) -> None:
    user = directory.find(name)
    directory.update(user, first_name="X")
    directory.delete(user)
    assert directory.get(user.id) is None
    assert user.id not in {one.id for one in directory.list_users()}
    assert len(directory) == SEEDED + 49
    with pytest.raises(UnknownUser):
        directory.update(user, first_name="Y")
    with pytest.raises(UnknownUser):
        directory.delete(user)
    assert changes.types == ["user.updated", "user.deleted"]


def test_a_change_has_its_faults_and_its_own_id(directory: Directory, changes: Changes) -> None:
    faults = Faults(copies=3)
    directory.create(handle="bob", faults=faults)
    directory.create(handle="eve")
    assert [change.faults for change in changes] == [faults, Faults()]
    assert changes[0].svix_id != changes[1].svix_id


def test_an_id_cannot_be_created_twice(directory: Directory) -> None:
    with pytest.raises(ValueError, match="signed up already"):
        directory.create(id=directory.find("ada").id)


def test_a_reset_restores_the_users_of_the_start(directory: Directory, changes: Changes) -> None:
    directory.delete(directory.find("ada"))
    directory.delete(directory.find("person7"))
    changes.clear()
    directory.reset(users=50)
    assert directory.find("ada").first_name == "Ada"
    assert len(directory) == SEEDED + 50
    assert changes == []


def test_half_a_million_users_take_3_mb_at_most() -> None:
    tracemalloc.start()
    try:
        directory = Directory(on_change=lambda _: None, users=500_000)
        page = directory.list_users(after=directory.find("person499000"), limit=500)
        assert (len(page), page[0].handle) == (500, "person499001")
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
