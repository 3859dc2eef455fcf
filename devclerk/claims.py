"""The claims of organizations, features, plans, factors and actors, in both versions of Clerk's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from devclerk.users import new_id, stable_id

OPERATOR = "operator@example.test"
ACTOR_KINDS = ("user", "agent", "cli")
SCOPES = ("o", "u", "ou")  # of the organization, of the user, of both


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveOrganization:
    """The active organization; permissions are `feature:permission`, with or without the prefix `org:`."""

    slug: str
    role: str = "member"
    permissions: Sequence[str] = ()
    id: str | None = None

    @property
    def organization_id(self) -> str:
        """Return the id, by default one that depends on the slug alone."""
        return self.id or stable_id(self.slug, prefix="org")

    def permission_pairs(self) -> list[tuple[str, str]]:
        """Return feature and permission of each; raise ValueError for another form."""
        pairs = [tuple(name.removeprefix("org:").split(":")) for name in self.permissions]
        if not all(len(pair) == 2 and all(pair) for pair in pairs):  # noqa: PLR2004 - feature and permission
            raise ValueError("a permission must look like reports:read")
        return [(feature, permission) for feature, permission in pairs]


class SessionOptions(TypedDict, total=False):
    """The options of `session_claims`."""

    organization: str | Mapping[str, Any] | None
    features: Sequence[str] | None
    plans: Sequence[str] | None
    factor_ages: tuple[float, float] | None
    actor: str | None
    actor_kind: str | None
    version: int


def session_claims(
    *,
    organization: str | Mapping[str, Any] | None = None,
    features: Sequence[str] | None = None,
    plans: Sequence[str] | None = None,
    factor_ages: tuple[float, float] | None = None,
    actor: str | None = None,
    actor_kind: str | None = None,
    version: int = 2,
) -> dict[str, Any]:
    """Return the claims that the options name.

    `organization` is a slug, or the fields of `ActiveOrganization`. Features and plans look like `o:slug`,
    `u:slug` or `ou:slug`; the features of the permissions are added. `factor_ages` are minutes, or -1 for a
    factor that is not enrolled. `actor` is an id, by default a new one of its kind. Raises ValueError for
    what Clerk would not write, and TypeError for unknown fields.
    """
    claims: dict[str, Any] = {}
    if factor_ages is not None:
        claims["fva"] = list(factor_ages)
    if actor or actor_kind:
        claims["act"] = _actor_claim(actor, kind=actor_kind or "user")
    active = _active_organization(organization) if organization else None
    if version == 2:  # noqa: PLR2004 - the newest version
        return claims | _claims_v2(active, features=features, plans=plans)
    if version != 1 or features or plans:
        raise ValueError("the version must be 2, or 1 without features and plans")
    return claims | (_claims_v1(active) if active else {})


def _active_organization(organization: str | Mapping[str, Any]) -> ActiveOrganization:
    fields = {"slug": organization} if isinstance(organization, str) else organization
    if not fields.get("slug"):
        raise ValueError("a role or a permission needs an organization")
    return ActiveOrganization(**fields)


def _claims_v2(
    active: ActiveOrganization | None, *, features: Sequence[str] | None, plans: Sequence[str] | None
) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    scopes = _scopes(features or ())
    if active:
        claims["o"] = _organization_v2(active, scopes)
    if scopes:
        claims["fea"] = _scoped(scopes)
    if plans:
        claims["pla"] = _scoped(_scopes(plans))
    return claims


def _claims_v1(active: ActiveOrganization) -> dict[str, Any]:
    return {
        "org_id": active.organization_id,
        "org_slug": active.slug,
        "org_role": f"org:{active.role}",
        "org_permissions": [f"org:{feature}:{name}" for feature, name in active.permission_pairs()],
    }


def _organization_v2(active: ActiveOrganization, scopes: dict[str, str]) -> dict[str, Any]:
    """Return the claim `o`; the features of the permissions are added to `scopes`.

    Bit i of a feature's number in `fpm`, the lowest first, says that it has the permission i of `per`.
    """
    granted = active.permission_pairs()
    for feature, _ in granted:
        if "o" not in scopes.get(feature, ""):
            scopes[feature] = "ou" if feature in scopes else "o"
    claim = {"id": active.organization_id, "slg": active.slug, "rol": active.role}
    if not granted:
        return claim
    names = list(dict.fromkeys(name for _, name in granted))
    numbers = [
        sum(1 << position for position, name in enumerate(names) if (feature, name) in granted)
        for feature, scope in scopes.items()
        if "o" in scope
    ]
    return claim | {"per": ",".join(names), "fpm": ",".join(map(str, numbers))}


def _scopes(elements: Sequence[str]) -> dict[str, str]:
    """Return the scope of each slug, in their order."""
    scopes: dict[str, str] = {}
    for element in elements:
        scope, _, slug = element.partition(":")
        if scope not in SCOPES or not slug:
            raise ValueError(f"{element!r} must look like o:slug, u:slug or ou:slug")
        scopes[slug] = scope if scopes.get(slug, scope) == scope else "ou"
    return scopes


def _scoped(scopes: Mapping[str, str]) -> str:
    return ",".join(f"{scope}:{slug}" for slug, scope in scopes.items())


def _actor_claim(actor: str | None, *, kind: str) -> dict[str, Any]:
    if kind not in ACTOR_KINDS:
        raise ValueError(f"the kind of an actor must be one of {', '.join(ACTOR_KINDS)}")
    claim = {"iss": "https://dashboard.clerk.com", "sid": new_id("sess")}
    if kind == "cli":
        return claim | {"sub": f"cli:{actor or OPERATOR}"}
    if kind == "agent":
        return claim | {"sub": actor or new_id("agent"), "type": "agent"}
    return claim | {"sub": actor or new_id()}
