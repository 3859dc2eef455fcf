"""Who is signed up: the store that every change goes through.

    UnknownPerson       nobody has that handle, id or e-mail

Half a million made-up people cost nothing until they change.
"""

from __future__ import annotations

import heapq
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from devclerk.events import NO_FAULTS, Change, Faults
from devclerk.people import (
    Person,
    image_of,
    made_up_key,
    made_up_number,
    made_up_person,
    new_id,
    seeded_people,
)

Key = tuple[int, str]


class UnknownPerson(LookupError):
    """Nobody has that handle, id or e-mail. The text is for people."""


def now_ms() -> int:
    """Give the time in milliseconds."""
    return time.time_ns() // 1_000_000


class Directory:
    """A thread-safe store. Each change gives the person a greater `updated_at` and is announced, in order.

    `users` made-up people stand between those seeded and those who sign up later; they take memory only
    once they change.
    """

    def __init__(self, *, announce: Callable[[Change], None], users: int = 0) -> None:
        self._announce = announce
        self._lock = threading.RLock()
        self.reset(users=users)

    def reset(self, *, users: int = 0) -> None:
        """Go back to the people of the start, silently."""
        with self._lock:
            self._users = users
            self._gone: set[str] = set()
            self._people = {person.id: person for person in seeded_people()}
            self._order = sorted((person.created_at, person.id) for person in self._people.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._order) + self._users - len(self._gone)

    def get(self, user_id: str) -> Person | None:
        """Give the person of a Clerk id."""
        with self._lock:
            return self._people.get(user_id) or self._made_up(user_id)

    def find(self, name: str) -> Person:
        """Give the person of a handle, an id or an e-mail. Raise `UnknownPerson`."""
        with self._lock:
            if person := self.get(name):
                return person
            for person in self._people.values():
                if name in (person.handle, person.email):
                    return person
            number = made_up_number(name)
            person = self.get(made_up_key(number)[1]) if number is not None else None
            if person and name in (person.handle, person.email):
                return person
        raise UnknownPerson(f"Nobody is called {name!r} here: give a handle such as ada, an id or an e-mail.")

    def people(
        self,
        *,
        after: Person | None = None,
        offset: int = 0,
        limit: int | None = None,
        descending: bool = False,
        where: Callable[[Person], bool] | None = None,
    ) -> list[Person]:
        """Give people in the order of their sign-up, from the one after `after`."""
        with self._lock:
            keys = self._keys(after=after, descending=descending)
            if where is None:
                return [self._person(key) for key in islice(keys, offset, _end(offset, limit))]
            found = filter(where, map(self._person, keys))
            return list(islice(found, offset, _end(offset, limit)))

    def create(self, *, faults: Faults = NO_FAULTS, **fields: Any) -> Person:
        """Sign somebody up; what `fields` (of `Person`) leave out is made up."""
        now = now_ms()
        user_id = fields.pop("id", None) or new_id()
        handle = fields.pop("handle", None) or user_id
        stamp = fields.pop("created_at", now)
        fields = {"updated_at": stamp, "image_url": image_of(handle)} | fields
        person = Person(id=user_id, handle=handle, created_at=stamp, **fields)
        with self._lock:
            if self.get(user_id):
                raise ValueError(f"{user_id} is signed up already.")
            self._people[user_id] = person
            insort(self._order, (person.created_at, user_id))
            self._announce(Change(type="user.created", person=person, at=person.updated_at, faults=faults))
        return person

    def update(self, person: Person, *, faults: Faults = NO_FAULTS, **changes: Any) -> Person:
        """Change the fields named. Raise `UnknownPerson` when the person is gone."""
        with self._lock:
            current = self._living(person)
            # Two changes within a millisecond still have an order.
            changed = replace(current, **{"updated_at": max(now_ms(), current.updated_at + 1)} | changes)
            self._people[changed.id] = changed
            self._announce(Change(type="user.updated", person=changed, at=changed.updated_at, faults=faults))
        return changed

    def delete(self, person: Person, *, faults: Faults = NO_FAULTS) -> None:
        """Take the person away for good. Raise `UnknownPerson` when that has happened already."""
        with self._lock:
            current = self._living(person)
            if made_up_number(current.id) is None:
                self._order.remove((current.created_at, current.id))
            else:
                self._gone.add(current.id)
            self._people.pop(current.id, None)
            at = max(now_ms(), current.updated_at + 1)
            self._announce(Change(type="user.deleted", person=current, at=at, faults=faults))

    def _living(self, person: Person) -> Person:
        if current := self.get(person.id):
            return current
        raise UnknownPerson(f"{person.id} is not signed up any more.")

    def _keys(self, *, after: Person | None, descending: bool) -> Iterator[Key]:
        made_up = range(self._users)
        order: Iterable[Key]
        if not descending:
            key = (after.created_at, after.id) if after else (0, "")
            order = self._order[bisect_right(self._order, key) :]
            numbers = made_up[bisect_right(made_up, key, key=made_up_key) :]
        else:
            top, last = len(self._order), self._users
            if after:
                key = (after.created_at, after.id)
                top = bisect_left(self._order, key)
                last = bisect_left(made_up, key, key=made_up_key)
            order = self._order[:top][::-1]
            numbers = made_up[:last][::-1]
        merged = heapq.merge(order, map(made_up_key, numbers), reverse=descending)
        return (key for key in merged if key[1] not in self._gone)

    def _person(self, key: Key) -> Person:
        person = self.get(key[1])
        assert person is not None  # noqa: S101 - a key comes from the store itself
        return person

    def _made_up(self, user_id: str) -> Person | None:
        number = made_up_number(user_id)
        if number is None or number >= self._users or user_id in self._gone:
            return None
        return made_up_person(number) if made_up_key(number)[1] == user_id else None


def _end(offset: int, limit: int | None) -> int | None:
    return None if limit is None else offset + limit
