"""Profiles: the few values that are kept of a Clerk user, as one source had them at one moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from accounts.clerk.ids import is_clerk_id
from accounts.clerk.times import plausible_milliseconds

if TYPE_CHECKING:
    from accounts.clerk.tokens import SessionClaims

Value = str | bool | None
ClaimsMap = Mapping[str, tuple[str, ...]]

FIELDS = ("email", "email_verified", "first_name", "last_name", "image_url", "banned")
CLAIM_FIELDS = FIELDS[:-1]
DEFAULT_CLAIMS = (
    "email=email,email_verified=email_verified,first_name=first_name|firstName,"
    "last_name=last_name|lastName,image_url=image_url|imageUrl"
)
EMAIL_MAX, NAME_MAX, IMAGE_URL_MAX = 254, 255, 2048
# The hosts of the pictures of users. A claim may name any other address.
IMAGE_HOSTS = ("https://img.clerk.com", "https://images.clerk.dev")

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CLAIM_NAME = re.compile(r"[^\s=|,]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Source(IntEnum):
    """Where a value comes from; the number is the rank that decides between equal times."""

    CLAIMS = 1
    WEBHOOK = 2
    API = 3


class UnusableProfile(Exception):
    """The data is genuine but has no usable user id; `reason` is a code without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _UnusableValue(Exception):
    """The value of one field cannot be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkProfile:
    """A Clerk user as of `at` (milliseconds, Clerk's clock).

    `values` holds what the source sent and the row can store: an absent field is absent, never empty.
    `true_until` (API only) is a later moment (ms) at which the same answer still held.
    `unusable` lists the fields whose value cannot be stored.
    """

    clerk_id: str
    source: Source
    at: int
    values: Mapping[str, Value]
    true_until: int | None = None
    unusable: tuple[str, ...] = ()


def profile_from_claims(claims: SessionClaims, *, mapping: ClaimsMap) -> ClerkProfile:
    """Return the profile of a session's custom claims; `mapping` lists the claim names of each field.

    Of several names the first with a value other than null counts.
    """
    values: dict[str, Value] = {}
    unusable = []
    for field, names in mapping.items():
        sent = [claims.payload[name] for name in names if name in claims.payload]
        if not sent:
            continue
        try:
            values[field] = _CLEAN[field](next((value for value in sent if value is not None), None))
        except _UnusableValue:
            unusable.append(field)
    return ClerkProfile(
        clerk_id=claims.user_id,
        source=Source.CLAIMS,
        at=claims.read_at * 1000,
        values=values,
        unusable=tuple(unusable),
    )


def profile_from_user(data: object, *, source: Source, observed_at: int | None, now: int) -> ClerkProfile:
    """Return the profile of a Backend API user, or of the `data` of a user event.

    `observed_at` (ms) is the envelope's time or the answer's Date. The version is `updated_at`, else
    `observed_at`, else `now` (ms, this machine's clock). Raises UnusableProfile if `data` is no object or has
    no usable id.
    """
    if not isinstance(data, Mapping):
        raise UnusableProfile("not_an_object")
    clerk_id = data.get("id")
    if not is_clerk_id(clerk_id):
        raise UnusableProfile("no_usable_id")
    observed = plausible_milliseconds(observed_at, now=now)
    at = plausible_milliseconds(data.get("updated_at"), now=now) or observed or now
    values: dict[str, Value] = {}
    unusable = []
    for field, read in _READERS.items():
        try:
            values.update(read(data))
        except _UnusableValue:
            unusable.append(field)
    until = observed - 1000 if source is Source.API and observed is not None else None
    return ClerkProfile(
        clerk_id=clerk_id, source=source, at=at, values=values, true_until=until, unusable=tuple(unusable)
    )


def parse_claims_map(text: str) -> ClaimsMap:
    """Parse `field=claim,field=claim|alternative`; raise ValueError with a sentence for the operator."""
    mapping: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        field, equals, claims = (piece.strip() for piece in part.partition("="))
        names = tuple(name.strip() for name in claims.split("|"))
        if not equals or not all(_CLAIM_NAME.fullmatch(name) for name in names):
            raise ValueError(f"'{part.strip()}' is not of the form field=claim or field=claim|alternative")
        if field not in CLAIM_FIELDS:
            raise ValueError(f"'{field}' is not a field; the fields are {', '.join(CLAIM_FIELDS)}")
        if field in mapping:
            raise ValueError(f"'{field}' appears twice; write alternatives as {field}=one|two")
        mapping[field] = names
    return mapping


def _text(value: object, *, limit: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or _UNSTORABLE.search(value):
        raise _UnusableValue
    return value.strip()


def _name(value: object) -> str:
    text = _text(value, limit=NAME_MAX)
    # Clerk's template writes a null inside a composed text as this word.
    if text in {"null", "undefined"}:
        raise _UnusableValue
    return text


def _email(value: object) -> str | None:
    text = _text(value, limit=EMAIL_MAX)
    if text and not _EMAIL.fullmatch(text):
        raise _UnusableValue
    return text or None


def _image_url(value: object) -> str:
    text = _text(value, limit=IMAGE_URL_MAX)
    if text and not text.startswith(("https://", "http://")):
        raise _UnusableValue
    return text


def _flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise _UnusableValue
    return value


_CLEAN: dict[str, Callable[[object], Value]] = {
    "email": _email,
    "email_verified": _flag,
    "first_name": _name,
    "last_name": _name,
    "image_url": _image_url,
}


def _read_email(data: Mapping[str, Any]) -> dict[str, Value]:
    """Return the primary address and whether it is verified; no address if the list lacks the primary one."""
    addresses = data.get("email_addresses")
    if addresses is None:
        return {}
    if not isinstance(addresses, list):
        raise _UnusableValue
    primary = data.get("primary_email_address_id")
    for item in addresses:
        if primary is not None and isinstance(item, Mapping) and item.get("id") == primary:
            verification = item.get("verification")
            verified = isinstance(verification, Mapping) and verification.get("status") == "verified"
            email = _email(item.get("email_address"))
            return {"email": email, "email_verified": verified and email is not None}
    return {"email": None, "email_verified": False}


def _read_banned(data: Mapping[str, Any]) -> dict[str, Value]:
    flags = [_flag(data[name]) for name in ("banned", "deprovisioned") if name in data]
    if True in flags:
        return {"banned": True}
    return {"banned": False} if "banned" in data and data["banned"] is False else {}


def _reader(field: str) -> Callable[[Mapping[str, Any]], dict[str, Value]]:
    return lambda data: {field: _CLEAN[field](data[field])} if field in data else {}


_READERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Value]]] = {
    "email": _read_email,
    "first_name": _reader("first_name"),
    "last_name": _reader("last_name"),
    "image_url": _reader("image_url"),
    "banned": _read_banned,
}
