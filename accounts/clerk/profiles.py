"""The few facts that we keep about a person, as one source told them at one moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

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
# The same bounds as a token's `sub`: CONTRACT and CLERK know ids of this form only.
CLERK_ID = re.compile(r"user_[A-Za-z0-9]{1,59}", re.ASCII)

_BELIEVED_AHEAD_MS = 5 * 60 * 1000
_MILLISECONDS_FROM = 100_000_000_000  # larger is milliseconds, smaller is seconds: until the year 5138
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CLAIM_NAME = re.compile(r"[^\s=|,]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Source(IntEnum):
    """Who told it; the number is the rank that decides between equal times."""

    CLAIMS = 1
    WEBHOOK = 2
    API = 3


class UnusableProfile(Exception):
    """What came is genuine but names nobody; `reason` is a code without personal data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Unusable(Exception):
    """This one field cannot be stored; the others can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkProfile:
    """A person as of `at` (milliseconds, Clerk's clock).

    `values` holds only what the source said and the row can hold: an absent field is absent, never empty.
    `true_until` (API only) is a later moment at which the same answer still held.
    `unusable` names the fields that were there and could not be stored.
    """

    clerk_id: str
    source: Source
    at: int
    values: Mapping[str, Value]
    true_until: int | None = None
    unusable: tuple[str, ...] = ()


def profile_from_claims(claims: SessionClaims, *, mapping: ClaimsMap) -> ClerkProfile:
    """Read the claims that the operator put into the token; `mapping` says which feeds which field."""
    values: dict[str, Value] = {}
    unusable = []
    payload = claims.payload
    for field, names in mapping.items():
        found = False
        raw: Any = None
        for name in names:
            if name in payload:
                found = True
                raw = payload[name]
                if raw is not None:
                    break
        if not found:
            continue
        try:
            values[field] = _CLEAN[field](raw)
        except _Unusable:
            unusable.append(field)
    return ClerkProfile(
        clerk_id=claims.user_id,
        source=Source.CLAIMS,
        at=claims.read_at * 1000,
        values=values,
        unusable=tuple(unusable),
    )


def profile_from_user(data: object, *, source: Source, observed_at: int | None, now: int) -> ClerkProfile:
    """Read a Backend API user or the `data` of a user event.

    `observed_at` (ms) is the envelope's time or the answer's Date, `now` (ms) our own clock, the last resort
    for the version. Raises UnusableProfile when it is no object or has no usable id.
    """
    if not isinstance(data, Mapping):
        raise UnusableProfile("not_an_object")
    clerk_id = clerk_id_from(data)
    observed = believed(observed_at, now=now)
    at = believed(data.get("updated_at"), now=now) or observed or now
    values: dict[str, Value] = {}
    unusable = []
    for field, read in _READERS.items():
        try:
            values.update(read(data))
        except _Unusable:
            unusable.append(field)
    until = observed - 1000 if source is Source.API and observed is not None else None
    return ClerkProfile(
        clerk_id=clerk_id, source=source, at=at, values=values, true_until=until, unusable=tuple(unusable)
    )


def clerk_id_from(data: Mapping[str, Any]) -> str:
    """Return the person's id, or raise UnusableProfile."""
    clerk_id = data.get("id")
    if not isinstance(clerk_id, str) or not CLERK_ID.fullmatch(clerk_id):
        raise UnusableProfile("no_usable_id")
    return clerk_id


def believed(moment: object, *, now: int) -> int | None:
    """Return the moment in ms if it is a plausible time in ms, else None.

    No version is believed more than five minutes ahead of our clock: it would freeze the row.
    """
    if isinstance(moment, float) and moment.is_integer():
        moment = int(moment)
    if isinstance(moment, bool) or not isinstance(moment, int):
        return None
    return moment if _MILLISECONDS_FROM < moment <= now + _BELIEVED_AHEAD_MS else None


def in_milliseconds(moment: object) -> object:
    """Bring a time in seconds to milliseconds by its magnitude; whatever is no number stays as it is."""
    if isinstance(moment, int | float) and not isinstance(moment, bool) and 0 < moment <= _MILLISECONDS_FROM:
        return int(moment * 1000)
    return moment


def parse_claims_map(text: str) -> ClaimsMap:
    """Parse `field=claim,field=claim|alternative`; raises ValueError with a sentence for the operator."""
    mapping: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        field, equals, claims = (piece.strip() for piece in part.partition("="))
        names = tuple(name.strip() for name in claims.split("|"))
        if not equals or not all(_CLAIM_NAME.fullmatch(name) for name in names):
            raise ValueError(f"'{part.strip()}' is not of the form field=claim or field=claim|alternative")
        if field not in CLAIM_FIELDS:
            raise ValueError(f"'{field}' is not a field; the fields are {', '.join(CLAIM_FIELDS)}")
        if field in mapping:
            raise ValueError(f"'{field}' is there twice; write alternatives as {field}=one|two")
        mapping[field] = names
    return mapping


def _text(value: object, *, limit: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or _UNSTORABLE.search(value):
        raise _Unusable
    return value.strip()


def _name(value: object) -> str:
    text = _text(value, limit=NAME_MAX)
    # A composed text with a null part comes out of Clerk's template as the word itself.
    if text in {"null", "undefined"}:
        raise _Unusable
    return text


def _email(value: object) -> str | None:
    text = _text(value, limit=EMAIL_MAX)
    if text and not _EMAIL.fullmatch(text):
        raise _Unusable
    return text or None


def _image_url(value: object) -> str:
    text = _text(value, limit=IMAGE_URL_MAX)
    if text and not text.startswith(("https://", "http://")):
        raise _Unusable
    return text


def _flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise _Unusable
    return value


_CLEAN: dict[str, Callable[[object], Value]] = {
    "email": _email,
    "email_verified": _flag,
    "first_name": _name,
    "last_name": _name,
    "image_url": _image_url,
}


def _read_email(data: Mapping[str, Any]) -> dict[str, Value]:
    """Find the primary address; Clerk may name one that the list does not hold: then there is none."""
    addresses = data.get("email_addresses")
    if addresses is None:
        return {}
    if not isinstance(addresses, list):
        raise _Unusable
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
