"""Profiles: the few values that are kept of a Clerk user, as one source had them at one moment."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from accounts.clerk.fields import COLUMNS, DECLARED, EXTRA, UnusableValue, Value
from accounts.clerk.ids import is_clerk_id
from accounts.clerk.times import plausible_milliseconds

if TYPE_CHECKING:
    from accounts.clerk.tokens import SessionClaims

ClaimsMap = Mapping[str, tuple[str, ...]]

FIELDS = tuple(COLUMNS)
CLAIM_FIELDS = tuple(name for name, field in COLUMNS.items() if field.claims)
DEFAULT_CLAIMS = ",".join(f"{name}={'|'.join(COLUMNS[name].claims)}" for name in CLAIM_FIELDS)
# `email_verified` is about the primary address. A claim of another name may hold any address.
PRIMARY_ADDRESS_CLAIMS = frozenset(
    {"email", "primary_email", "primaryEmail", "primary_email_address", "primaryEmailAddress"}
)
# Users write it themselves, so it feeds no field.
UNSAFE_CLAIMS = frozenset({"unsafe_metadata", "unsafeMetadata"})
# The hosts of the pictures of users. A claim may name any other address.
IMAGE_HOSTS = ("https://img.clerk.com", "https://images.clerk.dev")

# The name of a claim at the top level of the token, such as https://example.com/email: neither a path with
# dots (user.email) nor a shortcode.
_CLAIM_NAME = re.compile(r"(?!\w+(\.\w+)+$)[^\s=|,{}]+")


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

    @property
    def has_extra(self) -> bool:
        """Return whether a merge needs the column `extra`."""
        return not EXTRA.keys().isdisjoint(self.values)


def profile_from_claims(claims: SessionClaims, *, mapping: ClaimsMap) -> ClerkProfile:
    """Return the profile of a session's custom claims; `mapping` lists the claim names of each field.

    Of several names the first with a value other than null counts. A value that has to be verified is left
    out without the claim that says so, and empty if that claim is not true. `email_verified` is left out if
    the address comes from a claim that is not known to hold the primary one.
    """
    values: dict[str, Value] = {}
    unusable = []
    payload = claims.payload
    for name, claim_names in mapping.items():
        claim = _find_claim(payload, claim_names)
        if claim is None:
            continue
        field = DECLARED[name]
        is_verified = payload.get(field.verified_by) if field.verified_by else True
        if is_verified is None:
            continue
        try:
            values[name] = field.clean(payload[claim] if is_verified is True else None)
        except UnusableValue:
            unusable.append(name)
    if "email_verified" in values:
        address = _find_claim(payload, mapping.get("email", ()))
        if address is not None and address not in PRIMARY_ADDRESS_CLAIMS:
            del values["email_verified"]
    return ClerkProfile(
        clerk_id=claims.user_id,
        source=Source.CLAIMS,
        at=claims.read_at * 1000,
        values=values,
        unusable=tuple(unusable),
    )


def _find_claim(payload: Mapping[str, Any], names: Collection[str]) -> str | None:
    """Return the first claim with a value other than null, else one that is null, or None without any."""
    found = None
    for name in names:
        if name in payload:
            if payload[name] is not None:
                return name
            found = name
    return found


def profile_from_user(
    data: object, *, source: Source, observed_at: int | None, now: int, extra_fields: Collection[str] = ()
) -> ClerkProfile:
    """Return the profile of a Backend API user, or of the `data` of a user event.

    `observed_at` (ms) is the envelope's time or the answer's Date. The version is `updated_at`, else
    `observed_at`, else `now` (ms, this machine's clock). `extra_fields` names those fields without a column
    that are stored. Raises UnusableProfile if `data` is no object or has no usable id.
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
    for field in (*COLUMNS.values(), *(EXTRA[name] for name in extra_fields)):
        try:
            values.update(field.read_from(data))
        except UnusableValue:
            unusable.append(field.name)
    until = observed - 1000 if source is Source.API and observed is not None else None
    return ClerkProfile(
        clerk_id=clerk_id, source=source, at=at, values=values, true_until=until, unusable=tuple(unusable)
    )


def parse_claims_map(text: str, *, extra_fields: Collection[str] = ()) -> ClaimsMap:
    """Parse `field=claim,field=claim|alternative`; raise ValueError with a sentence for the operator.

    `extra_fields` names those fields without a column that are stored.
    """
    mapping: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        field, equals, claims = (piece.strip() for piece in part.partition("="))
        names = tuple(name.strip() for name in claims.split("|"))
        if not equals or not all(_CLAIM_NAME.fullmatch(name) for name in names):
            raise ValueError(
                f"'{part.strip()}' is not of the form field=claim or field=claim|alternative;"
                " a claim is a name at the top level of the token, neither a path nor a shortcode"
            )
        _check_fed_field(field, names, extra_fields=extra_fields)
        if field in mapping:
            raise ValueError(f"'{field}' appears twice; write alternatives as {field}=one|two")
        mapping[field] = names
    return mapping


def _check_fed_field(field: str, claims: Collection[str], *, extra_fields: Collection[str]) -> None:
    """Raise ValueError if claims cannot feed the field, or if users write one of the claims themselves."""
    if field in EXTRA and field not in extra_fields:
        raise ValueError(f"'{field}' is stored only if CLERK_EXTRA_FIELDS names it")
    if field not in (*CLAIM_FIELDS, *extra_fields):
        fields = ", ".join((*CLAIM_FIELDS, *extra_fields))
        raise ValueError(f"'{field}' is not a field; the fields are {fields}")
    if unsafe := UNSAFE_CLAIMS.intersection(claims):
        raise ValueError(
            f"'{min(unsafe)}' feeds a field, but users write it themselves: they could set the field to"
            " anything"
        )
