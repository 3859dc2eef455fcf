"""The people of the stand-in: a handful with a story each, and as many made-up ones as wanted."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ALPHABET = string.digits + string.ascii_letters
NOTHING: Mapping[str, Any] = MappingProxyType({})
SEEDED_SINCE = 1_704_067_200_000  # 1 January 2024, ms
MADE_UP_SINCE = 1_706_745_600_000  # 1 February 2024, ms
MADE_UP_ID = "user_2madeUp{:020d}"
MADE_UP_HANDLE = "person{}"
FIRST_NAMES = ("Ines", "Jonas", "Mei", "Omar", "Priya", "Rosa", "Sven", "Tariq", "Uma", "Zoë")
LAST_NAMES = ("Abebe", "Berg", "Castro", "Dvořák", "Eriksen", "Fofana", "Gupta", "Haddad", "Ito", "Kowalski")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is signed up. Times are milliseconds; `handle` is our own short name, unknown to Clerk.

    `raw` is laid over the user object that goes over the wire, to make one that is out of shape.
    """

    id: str
    handle: str
    created_at: int
    updated_at: int
    email: str | None = None
    email_verified: bool = True
    first_name: str | None = None
    last_name: str | None = None
    image_url: str = ""
    external_id: str | None = None
    banned: bool = False
    locked: bool = False
    deprovisioned: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)

    def claims(self) -> dict[str, Any]:
        """Give the custom claims that docs/clerk-setup.md asks operators to add to their session token."""
        return {
            "email": self.email,
            "email_verified": self.email is not None and self.email_verified,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "image_url": self.image_url,
        }


def new_id(prefix: str = "user") -> str:
    """Make an id of Clerk's form that nobody has."""
    return f"{prefix}_2" + "".join(secrets.choice(ALPHABET) for _ in range(26))


def steady_id(name: str, *, prefix: str = "user") -> str:
    """Make an id of Clerk's form that is the same at every start."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"{prefix}_2" + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:26])


def image_of(handle: str) -> str:
    """Give the address of a picture; nothing answers there."""
    return f"https://img.example.test/{handle}.png"


def seeded_people() -> tuple[Person, ...]:
    """Give the people who are there at every start, the same each time."""
    stories: tuple[tuple[str, dict[str, Any]], ...] = (
        ("ada", {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.test"}),
        ("grace", {"first_name": "Grace", "last_name": "Hopper"}),
        (
            "alan",
            {
                "first_name": "Alan",
                "last_name": "Turing",
                "email": "alan@example.test",
                "email_verified": False,
            },
        ),
        ("nameless", {"email": "nameless@example.test"}),
        (
            "long",
            {
                "first_name": "Wolfeschlegel" * 19,  # 247 of the 255 characters that the row holds
                "last_name": "Hubert-Blaine-" * 18,
                "email": "l" * 64 + "@" + "long." * 30 + "example.test",
            },
        ),
        ("yuki", {"first_name": "雪", "last_name": "結城", "email": "yuki@example.test"}),
        ("layla", {"first_name": "ليلى", "last_name": "الخوري", "email": "layla@example.test"}),
        ("olena", {"first_name": "Олена", "last_name": "Ковальчук 🌻", "email": "olena@example.test"}),
        (
            "mallory",
            {"first_name": "Mallory", "last_name": "Voss", "email": "mallory@example.test", "banned": True},
        ),
    )
    return tuple(
        Person(
            id=steady_id(handle),
            handle=handle,
            created_at=SEEDED_SINCE + number * 60_000,
            updated_at=SEEDED_SINCE + number * 60_000,
            image_url=image_of(handle),
            **fields,
        )
        for number, (handle, fields) in enumerate(stories)
    )


def made_up_key(number: int) -> tuple[int, str]:
    """Give the place of a made-up person in the order of sign-ups."""
    return MADE_UP_SINCE + number * 1000, MADE_UP_ID.format(number)


def made_up_person(number: int) -> Person:
    """Give the made-up person of this number, the same each time: half a million need no memory."""
    at, user_id = made_up_key(number)
    handle = MADE_UP_HANDLE.format(number)
    return Person(
        id=user_id,
        handle=handle,
        created_at=at,
        updated_at=at,
        email=f"{handle}@example.test" if number % 20 else None,
        email_verified=number % 7 != 0,
        first_name=FIRST_NAMES[number % len(FIRST_NAMES)],
        last_name=LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)],
        image_url=image_of(handle),
        banned=number % 1000 == 999,  # noqa: PLR2004 - one in a thousand
    )


def made_up_number(name: str) -> int | None:
    """Give the number behind a made-up person's id, handle or e-mail, if it has the form of one."""
    word = name.removesuffix("@example.test")
    for prefix in (MADE_UP_ID.partition("{")[0], MADE_UP_HANDLE.partition("{")[0]):
        digits = word.removeprefix(prefix)
        if digits != word and digits.isascii() and digits.isdigit():
            return int(digits)
    return None
