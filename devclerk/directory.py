"""The users of the emulated instance: a thread-safe store in order of sign-up.

    UnknownUser         no user has that handle, id or e-mail address

Generated users take no memory until they change, so there can be half a million of them.
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
from devclerk.users import (
    ClerkUser,
    generated_key,
    generated_number,
    generated_user,
    image_url_of,
    new_id,
    seeded_users,
)

Key = tuple[int, str]


class UnknownUser(LookupError):
    """No user has that handle, id or e-mail address. The text is for the user of the command."""


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Directory:
    """Stores users. Each change raises the user's `updated_at` and is passed to `on_change`, in order.

    `users` is the number of generated users, which signed up after the seeded users and before those that are
    created later.
    """

    def __init__(self, *, on_change: Callable[[Change], None], users: int = 0) -> None:
        self._on_change = on_change
        self._lock = threading.RLock()
        self.reset(users=users)

    def reset(self, *, users: int = 0) -> None:
        """Restore the users of the start, without a change event."""
        with self._lock:
            self._generated = users
            self._deleted_generated: set[str] = set()
            self._stored = {user.id: user for user in seeded_users()}
            self._order = sorted((user.created_at, user.id) for user in self._stored.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._order) + self._generated - len(self._deleted_generated)

    def get(self, user_id: str) -> ClerkUser | None:
        """Return the user with this Clerk id, or None."""
        with self._lock:
            return self._stored.get(user_id) or self._get_generated(user_id)

    def find(self, name: str) -> ClerkUser:
        """Return the user with this handle, id or e-mail address. Raise `UnknownUser`."""
        with self._lock:
            if user := self.get(name):
                return user
            for user in self._stored.values():
                if name in (user.handle, user.email):
                    return user
            number = generated_number(name)
            user = self.get(generated_key(number)[1]) if number is not None else None
            if user and name in (user.handle, user.email):
                return user
        raise UnknownUser(
            f"No user is called {name!r}: use a handle such as ada, an id or an e-mail address."
        )

    def list_users(
        self,
        *,
        after: ClerkUser | None = None,
        offset: int = 0,
        limit: int | None = None,
        descending: bool = False,
        where: Callable[[ClerkUser], bool] | None = None,
    ) -> list[ClerkUser]:
        """Return users in the order of their sign-up, from the one that follows `after`."""
        end = None if limit is None else offset + limit
        with self._lock:
            keys = self._keys(after=after, descending=descending)
            if where is None:
                return [self._at(key) for key in islice(keys, offset, end)]
            return list(islice(filter(where, map(self._at, keys)), offset, end))

    def create(self, *, faults: Faults = NO_FAULTS, **fields: Any) -> ClerkUser:
        """Create a user; fields that are not named are generated.

        Raise `ValueError` for an id that is in use, `TypeError` for a field that `ClerkUser` does not have.
        """
        now = now_ms()
        user_id = fields.pop("id", None) or new_id()
        handle = fields.pop("handle", None) or user_id
        created_at = fields.pop("created_at", now)
        fields = {"updated_at": created_at, "image_url": image_url_of(handle)} | fields
        user = ClerkUser(id=user_id, handle=handle, created_at=created_at, **fields)
        with self._lock:
            if self.get(user_id):
                raise ValueError(f"{user_id} is signed up already.")
            self._stored[user_id] = user
            insort(self._order, (user.created_at, user_id))
            self._on_change(Change(type="user.created", user=user, at=user.updated_at, faults=faults))
        return user

    def update(self, user: ClerkUser, *, faults: Faults = NO_FAULTS, **changes: Any) -> ClerkUser:
        """Change the named fields and return the user.

        Raise `UnknownUser` for a deleted user, `TypeError` for a field that `ClerkUser` does not have.
        """
        with self._lock:
            current = self._require(user)
            # Two changes within a millisecond still have an order.
            changed = replace(current, **{"updated_at": max(now_ms(), current.updated_at + 1)} | changes)
            self._stored[changed.id] = changed
            self._on_change(Change(type="user.updated", user=changed, at=changed.updated_at, faults=faults))
        return changed

    def delete(self, user: ClerkUser, *, faults: Faults = NO_FAULTS) -> None:
        """Delete the user. Raise `UnknownUser` for a deleted one."""
        with self._lock:
            current = self._require(user)
            if generated_number(current.id) is None:
                self._order.remove((current.created_at, current.id))
            else:
                self._deleted_generated.add(current.id)
            self._stored.pop(current.id, None)
            at = max(now_ms(), current.updated_at + 1)
            self._on_change(Change(type="user.deleted", user=current, at=at, faults=faults))

    def _require(self, user: ClerkUser) -> ClerkUser:
        if current := self.get(user.id):
            return current
        raise UnknownUser(f"{user.id} is deleted.")

    def _keys(self, *, after: ClerkUser | None, descending: bool) -> Iterator[Key]:
        generated = range(self._generated)
        order: Iterable[Key]
        if not descending:
            key = (after.created_at, after.id) if after else (0, "")
            order = self._order[bisect_right(self._order, key) :]
            numbers = generated[bisect_right(generated, key, key=generated_key) :]
        else:
            end, generated_end = len(self._order), self._generated
            if after:
                key = (after.created_at, after.id)
                end = bisect_left(self._order, key)
                generated_end = bisect_left(generated, key, key=generated_key)
            order = self._order[:end][::-1]
            numbers = generated[:generated_end][::-1]
        merged = heapq.merge(order, map(generated_key, numbers), reverse=descending)
        return (key for key in merged if key[1] not in self._deleted_generated)

    def _at(self, key: Key) -> ClerkUser:
        user = self.get(key[1])
        assert user is not None  # noqa: S101 - a key comes from the store itself
        return user

    def _get_generated(self, user_id: str) -> ClerkUser | None:
        number = generated_number(user_id)
        if number is None or number >= self._generated or user_id in self._deleted_generated:
            return None
        return generated_user(number) if generated_key(number)[1] == user_id else None
