"""What a session token says beyond the user's identity: organization, plans, features, factors, actor.

Source: clerk/javascript, packages/shared, `jwtPayloadParser.ts` and `authorization.ts`. Malformed or missing
data grants nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeGuard

from accounts.clerk.ids import is_clerk_id

# Minutes since the first and the second factor were verified; None for a factor that is not enrolled.
FactorAges = tuple[float | None, float | None]

_NOT_ENROLLED = -1
_SCOPES = ("o", "u", "ou", "uo")  # organization, user, both


class ActorKind(StrEnum):
    """Who acts for the user of a session."""

    USER = "user"
    AGENT = "agent"
    CLI = "cli"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """The active organization; `role` has no prefix, permissions are full names: `org:feature:permission`."""

    id: str
    slug: str | None
    role: str | None
    permissions: frozenset[str]


class SessionContents:
    """The claims that permissions depend on, decoded from `payload` on first use: most requests need none."""

    # Subclasses may have slots, so the decoded values are in the dictionary of the instance.
    payload: Mapping[str, Any]

    @cached_property
    def organization(self) -> Organization | None:
        """Return the active organization, or None."""
        match self._version:
            case 1:
                return _read_organization_v1(self.payload)
            case 2:
                return _read_organization_v2(self.payload)
        return None

    @cached_property
    def features(self) -> frozenset[str]:
        """Return the features, as `o:slug` (of the organization) and `u:slug` (of the user)."""
        return self._read_slugs("fea")

    @cached_property
    def plans(self) -> frozenset[str]:
        """Return the plans, as `o:slug` (of the organization) and `u:slug` (of the user)."""
        return self._read_slugs("pla")

    @cached_property
    def factor_ages(self) -> FactorAges | None:
        """Return the minutes since each factor was verified, or None without a well-formed claim."""
        ages = self.payload.get("fva")
        if not isinstance(ages, list) or len(ages) != 2 or not all(map(_is_age, ages)):  # noqa: PLR2004 - a pair
            return None
        first, second = (None if age == _NOT_ENROLLED else age for age in ages)
        return first, second

    @cached_property
    def actor_kind(self) -> ActorKind | None:
        """Return who acts for the user, or None if the user does."""
        act = self.payload.get("act")
        if act is None:
            return None
        actor = act if isinstance(act, Mapping) else {}
        subject = actor.get("sub")
        if actor.get("type") == "agent":
            return ActorKind.AGENT
        if isinstance(subject, str) and subject.startswith("cli:"):
            return ActorKind.CLI
        return ActorKind.USER if is_clerk_id(subject) else ActorKind.OTHER

    @property
    def _version(self) -> int | None:
        """Return the version of the claims, or None for an unknown one. Version 1 has no `v`."""
        version = self.payload.get("v", 1)
        return version if version in (1, 2) and not isinstance(version, bool) else None

    def _read_slugs(self, name: str) -> frozenset[str]:
        pairs = _read_scoped(self.payload.get(name)) if self._version else ()
        return frozenset(f"{scope}:{slug}" for scope, slug in pairs)


def is_text(value: object) -> TypeGuard[str]:
    """Return whether this is a text that a response and a log line can contain.

    JSON can contain half a surrogate pair, which cannot be encoded.
    """
    return isinstance(value, str) and value.isprintable()


def strip_org(name: str) -> str:
    """Return the name of a role or a permission without any prefix `org:`."""
    while name.startswith("org:"):
        name = name.removeprefix("org:")
    return name


def _read_organization_v1(claims: Mapping[str, Any]) -> Organization | None:
    names = claims.get("org_permissions")
    return _build_organization(
        claims.get("org_id"),
        slug=claims.get("org_slug"),
        role=claims.get("org_role"),
        permissions=frozenset(names) if isinstance(names, list) and all(map(is_text, names)) else frozenset(),
    )


def _read_organization_v2(claims: Mapping[str, Any]) -> Organization | None:
    active = claims.get("o")
    if not isinstance(active, Mapping):
        return None
    features = [slug for scope, slug in _read_scoped(claims.get("fea")) if scope == "o"]
    return _build_organization(
        active.get("id"),
        slug=active.get("slg"),
        role=active.get("rol"),
        permissions=_read_permissions(active.get("per"), feature_map=active.get("fpm"), features=features),
    )


def _build_organization(
    organization_id: object, *, slug: object, role: object, permissions: frozenset[str]
) -> Organization | None:
    if not is_text(organization_id) or not organization_id:
        return None
    return Organization(
        id=organization_id,
        slug=(slug or None) if is_text(slug) else None,
        role=(strip_org(role) or None) if is_text(role) else None,
        permissions=permissions,
    )


def _read_permissions(names: object, *, feature_map: object, features: Sequence[str]) -> frozenset[str]:
    """Return the full names of the permissions.

    The map has a number for each feature of the organization. Its bit i, the lowest first, is set if the
    feature has the permission with the i-th name.
    """
    numbers = map(_read_number, _split(feature_map))
    return frozenset(
        f"org:{feature}:{name}"
        for feature, number in zip(features, numbers, strict=False)
        for position, name in enumerate(_split(names))
        if number >> position & 1
    )


def _read_scoped(claim: object) -> list[tuple[str, str]]:
    """Return scope (`o` or `u`) and slug of each element; one element without a colon makes it malformed."""
    pairs: list[tuple[str, str]] = []
    for element in _split(claim):
        scopes, colon, slug = element.partition(":")
        if not colon:
            return []
        pairs += [(scope, slug) for scope in scopes if scopes in _SCOPES]
    return pairs


def _read_number(text: str) -> int:
    """Return a decimal number, or 0 for anything else."""
    try:
        return int(text) if text.isascii() and text.isdigit() else 0
    except ValueError:  # longer than Python converts
        return 0


def _split(claim: object) -> list[str]:
    parts = [part.strip() for part in claim.split(",")] if isinstance(claim, str) and claim else []
    return parts if all(map(is_text, parts)) else []


def _is_age(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return value == _NOT_ENROLLED or 0 <= value < math.inf
