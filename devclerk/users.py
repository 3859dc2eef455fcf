"""The users of the emulator: nine seeded ones, each a case of its own, and any number of generated ones."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ALPHABET = string.digits + string.ascii_letters
EMPTY: Mapping[str, Any] = MappingProxyType({})
SEEDED_SINCE_MS = 1_704_067_200_000  # 1 January 2024
GENERATED_SINCE_MS = 1_706_745_600_000  # 1 February 2024
GENERATED_ID = "user_2madeUp{:020d}"
GENERATED_HANDLE = "person{}"
FIRST_NAMES = ("Ines", "Jonas", "Mei", "Omar", "Priya", "Rosa", "Sven", "Tariq", "Uma", "Zoë")
LAST_NAMES = ("Abebe", "Berg", "Castro", "Dvořák", "Eriksen", "Fofana", "Gupta", "Haddad", "Ito", "Kowalski")

# Handle, first and last name, and what differs from other users.
SEEDS: tuple[tuple[str, str | None, str | None, dict[str, Any]], ...] = (
    ("ada", "Ada", "Lovelace", {}),
    ("grace", "Grace", "Hopper", {"email": None}),
    ("alan", "Alan", "Turing", {"email_verified": False}),
    ("nameless", None, None, {}),
    # 247 of the 255 characters that the row holds.
    (
        "long",
        "Wolfeschlegel" * 19,
        "Hubert-Blaine-" * 18,
        {"email": f"{'l' * 64}@{'long.' * 30}example.test"},
    ),
    ("yuki", "雪", "結城", {}),
    ("layla", "ليلى", "الخوري", {}),
    ("olena", "Олена", "Ковальчук 🌻", {}),
    ("mallory", "Mallory", "Voss", {"banned": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkUser:
    """A user of the emulated instance. Times are in milliseconds; `handle` is unknown to Clerk.

    `raw` overrides keys of the user object that is sent, for objects of an unexpected form.
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
    username: str | None = None
    phone_number: str | None = None
    phone_number_verified: bool = True
    locale: str | None = None
    timezone: str | None = None
    banned: bool = False
    locked: bool = False
    deprovisioned: bool = False
    public_metadata: Mapping[str, Any] = field(default_factory=dict)
    private_metadata: Mapping[str, Any] = field(default_factory=dict)
    unsafe_metadata: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)

    def claims(self) -> dict[str, Any]:
        """Return the custom claims that README adds to the session token, and username and phone number."""
        further: dict[str, Any] = {"username": self.username} if self.username else {}
        if self.phone_number:
            further |= {
                "phone_number": self.phone_number,
                "phone_number_verified": self.phone_number_verified,
            }
        return {
            "email": self.email,
            "email_verified": self.email is not None and self.email_verified,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "image_url": self.image_url,
            **further,
        }


def new_id(prefix: str = "user") -> str:
    """Return a random id in Clerk's format."""
    return f"{prefix}_2" + "".join(secrets.choice(ALPHABET) for _ in range(26))


def stable_id(name: str, *, prefix: str = "user") -> str:
    """Return an id in Clerk's format that depends on the name alone."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"{prefix}_2" + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:26])


def image_url_of(handle: str) -> str:
    """Return the address of an image; no server answers there."""
    return f"https://img.example.test/{handle}.png"


def seeded_users() -> tuple[ClerkUser, ...]:
    """Return the users of every start, always the same."""
    return tuple(
        ClerkUser(
            id=stable_id(handle),
            handle=handle,
            created_at=SEEDED_SINCE_MS + number * 60_000,
            updated_at=SEEDED_SINCE_MS + number * 60_000,
            first_name=first_name,
            last_name=last_name,
            image_url=image_url_of(handle),
            **{"email": f"{handle}@example.test"} | others,
        )
        for number, (handle, first_name, last_name, others) in enumerate(SEEDS)
    )


def generated_key(number: int) -> tuple[int, str]:
    """Return the sort key of a generated user: time of sign-up (ms) and id."""
    return GENERATED_SINCE_MS + number * 1000, GENERATED_ID.format(number)


def generated_user(number: int) -> ClerkUser:
    """Return the generated user with this number, always the same."""
    at, user_id = generated_key(number)
    handle = GENERATED_HANDLE.format(number)
    return ClerkUser(
        id=user_id,
        handle=handle,
        created_at=at,
        updated_at=at,
        email=f"{handle}@example.test" if number % 20 else None,
        email_verified=number % 7 != 0,
        first_name=FIRST_NAMES[number % len(FIRST_NAMES)],
        last_name=LAST_NAMES[number // len(FIRST_NAMES) % len(LAST_NAMES)],
        image_url=image_url_of(handle),
        banned=number % 1000 == 999,  # noqa: PLR2004 - one in a thousand
    )


def generated_number(name: str) -> int | None:
    """Return the number in the id, handle or e-mail of a generated user, or None for any other name."""
    stem = name.removesuffix("@example.test")
    for prefix in (GENERATED_ID.partition("{")[0], GENERATED_HANDLE.partition("{")[0]):
        digits = stem.removeprefix(prefix)
        if digits != stem and digits.isascii() and digits.isdigit():
            return int(digits)
    return None
