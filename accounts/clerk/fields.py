"""The fields of a Clerk user that are stored: one declaration for each, from which everything else follows.

Each field of `COLUMNS` has a column of its own. Those of `EXTRA` are in the column `extra`, if the setting
CLERK_EXTRA_FIELDS names them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.clerk.texts import EMAIL, UNSTORABLE

Value = str | bool | dict[str, Any] | None
Values = Mapping[str, Value]

EMAIL_MAX, NAME_MAX, IMAGE_URL_MAX = 254, 255, 2048
# Clerk itself accepts 8 KB for all metadata of a user.
METADATA_MAX_BYTES, METADATA_MAX_DEPTH = 16_384, 32
# Fields of Clerk that are never stored, and why.
REFUSED = {
    "unsafe_metadata": (
        "a user's own browser writes it, so nothing in it is true because Clerk sent it; use public_metadata,"
        " which only your backend writes"
    ),
    "private_metadata": "it may hold secrets of your backend, and no row of a user is the place for them",
}


class UnusableValue(Exception):
    """The value of one field cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one field is cleaned, read and stored.

    `clean` turns a claim, or an attribute of a Backend API user, into the stored value, or raises
    UnusableValue. `read` returns the values that a Backend API user has, by default the attribute with the
    name of the field. Null is stored as `empty`. `claims` are the names of the claims that feed the field by
    default, and `shortcode` is their text in Clerk's dashboard. A claim counts only if the claim
    `verified_by` is true, and is ignored without it.
    """

    name: str
    clean: Callable[[object], Value]
    read: Callable[[Mapping[str, Any]], Values] | None = None
    empty: Value = ""
    claims: tuple[str, ...] = ()
    is_personal: bool = True
    shortcode: str = ""
    verified_by: str = ""

    def read_from(self, user: Mapping[str, Any]) -> Values:
        """Return what a Backend API user has, nothing if it is absent. Raises UnusableValue."""
        if self.read is not None:
            return self.read(user)
        return {self.name: self.clean(user[self.name])} if self.name in user else {}


def parse_extra_fields(names: object) -> tuple[str, ...]:
    """Return the names of CLERK_EXTRA_FIELDS; raise ValueError with a sentence for the operator."""
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError("it is not a list of names")
    for name in names:
        if name in REFUSED:
            raise ValueError(f"'{name}' is never stored: {REFUSED[name]}")
        if name in COLUMNS:
            raise ValueError(f"'{name}' has a column of its own and is always stored")
        if name not in EXTRA:
            raise ValueError(f"'{name}' is not a further field; these are {', '.join(EXTRA)}")
        if names.count(name) > 1:
            raise ValueError(f"'{name}' appears twice")
    return tuple(names)


def is_equal(one: object, other: object) -> bool:
    """Return whether two values are the same JSON: unlike in Python, true is not 1."""
    return one == other and (not isinstance(one, dict) or sort_text(one) == sort_text(other))


def sort_text(value: object) -> str:
    """Return the text by which values of equal versions are compared; it is empty for an empty value."""
    return _json(value) if isinstance(value, dict) else str(value or "")


def _text(value: object, *, limit: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or UNSTORABLE.search(value):
        raise UnusableValue
    return value.strip()


def _name(value: object) -> str:
    text = _text(value, limit=NAME_MAX)
    # Clerk's template writes a null inside a composed text as this word.
    if text in {"null", "undefined"}:
        raise UnusableValue
    return text


def _optional_name(value: object) -> str | None:
    return _name(value) or None


def _email(value: object) -> str | None:
    text = _text(value, limit=EMAIL_MAX)
    if text and not EMAIL.fullmatch(text):
        raise UnusableValue
    return text or None


def _image_url(value: object) -> str:
    text = _text(value, limit=IMAGE_URL_MAX)
    if text and not text.startswith(("https://", "http://")):
        raise UnusableValue
    return text


def _flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise UnusableValue
    return value


def _metadata(value: object) -> dict[str, Any] | None:
    """Return the object as a JSON column returns it, so that a stored value equals the sent one."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise UnusableValue
    cleaned: dict[str, Any] = _storable(value, depth=1)
    try:
        size = len(_json(cleaned).encode())
    except ValueError:  # a number with more digits than Python writes
        raise UnusableValue from None
    if size > METADATA_MAX_BYTES:
        raise UnusableValue
    return cleaned


def _storable(value: Any, *, depth: int) -> Any:
    """Return JSON that every database stores, with whole numbers as int; raise UnusableValue."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise UnusableValue
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UnusableValue
        return int(value) if value.is_integer() else value
    elif isinstance(value, dict | list):
        if depth > METADATA_MAX_DEPTH:
            raise UnusableValue
        if isinstance(value, list):
            return [_storable(each, depth=depth + 1) for each in value]
        return {
            _storable(name, depth=depth): _storable(each, depth=depth + 1) for name, each in value.items()
        }
    return value


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _find_primary(user: Mapping[str, Any], *, items: str, key: str) -> tuple[Mapping[str, Any], bool] | None:
    """Return the primary item of a list and whether it is verified, or None if the list lacks it."""
    listed, primary = user[items], user.get(key)
    if not isinstance(listed, list):
        raise UnusableValue
    for item in listed:
        if primary is not None and isinstance(item, Mapping) and item.get("id") == primary:
            verification = item.get("verification")
            return item, isinstance(verification, Mapping) and verification.get("status") == "verified"
    return None


def _read_email(user: Mapping[str, Any]) -> Values:
    """Return the primary address and whether it is verified; no address if the list lacks the primary one."""
    if user.get("email_addresses") is None:
        return {}
    found = _find_primary(user, items="email_addresses", key="primary_email_address_id")
    if found is None:
        return {"email": None, "email_verified": False}
    item, is_verified = found
    email = _email(item.get("email_address"))
    return {"email": email, "email_verified": is_verified and email is not None}


def _read_nothing(user: Mapping[str, Any]) -> Values:
    return {}


def _read_banned(user: Mapping[str, Any]) -> Values:
    flags = [_flag(user[name]) for name in ("banned", "deprovisioned") if name in user]
    if True in flags:
        return {"banned": True}
    return {"banned": False} if "banned" in user and user["banned"] is False else {}


def _read_phone_number(user: Mapping[str, Any]) -> Values:
    """Return the primary phone number, or None if it is not verified or the list lacks it."""
    if user.get("phone_numbers") is None:
        return {}
    found = _find_primary(user, items="phone_numbers", key="primary_phone_number_id")
    item, is_verified = found or ({}, False)
    return {"phone_number": _optional_name(item.get("phone_number")) if is_verified else None}


def _by_name(*fields: Field) -> Mapping[str, Field]:
    return {field.name: field for field in fields}


COLUMNS: Final = _by_name(
    Field(
        name="email",
        clean=_email,
        read=_read_email,
        empty=None,
        claims=("email",),
        shortcode="{{user.primary_email_address}}",
    ),
    Field(
        name="email_verified",
        clean=_flag,
        read=_read_nothing,  # it comes with the address
        empty=False,
        claims=("email_verified",),
        shortcode="{{user.email_verified}}",
    ),
    Field(
        name="first_name",
        clean=_name,
        claims=("first_name", "firstName"),
        shortcode="{{user.first_name}}",
    ),
    Field(name="last_name", clean=_name, claims=("last_name", "lastName"), shortcode="{{user.last_name}}"),
    Field(
        name="image_url",
        clean=_image_url,
        claims=("image_url", "imageUrl"),
        shortcode="{{user.image_url}}",
    ),
    # No shortcode exists for it.
    Field(name="banned", clean=_flag, read=_read_banned, empty=False, is_personal=False),
)
EXTRA: Final = _by_name(
    Field(name="username", clean=_optional_name, empty=None, shortcode="{{user.username}}"),
    Field(
        name="phone_number",
        clean=_optional_name,
        read=_read_phone_number,
        empty=None,
        shortcode="{{user.primary_phone_number}}",
        verified_by="phone_number_verified",
    ),
    Field(name="locale", clean=_optional_name, empty=None),
    Field(name="timezone", clean=_optional_name, empty=None),
    Field(name="public_metadata", clean=_metadata, empty=None, shortcode="{{user.public_metadata}}"),
)
DECLARED: Final = {**COLUMNS, **EXTRA}
