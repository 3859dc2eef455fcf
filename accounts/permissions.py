"""Permission classes of Django REST framework for what the session token grants.

    permission_classes = (IsAuthenticated, HasOrganizationPermission("org:reports:read"))

A class that is listed by itself refuses with its own code; inside `&`, `|` and `~` the code is
`permission_denied`. A request without a Clerk session has none of the grants, and malformed or missing claims
grant nothing. `~` turns that around, so combine it with a class that requires a session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.clerk.reverification import parse_reverification
from accounts.clerk.session import strip_org
from accounts.clerk.tokens import SessionClaims

_SLUG = r"[^\s:,]+"


class SessionPermission(BasePermission):
    """A permission that depends on the session alone. Subclasses define `code`, `message` and `grants`."""

    code: str

    @property
    def message(self) -> str:
        """Return the text of the refusal."""
        raise NotImplementedError

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request has a Clerk session that grants this."""
        return isinstance(request.auth, SessionClaims) and self.grants(request.auth)

    def has_object_permission(self, request: Request, view: APIView, obj: object) -> bool:
        """Return the same for every object; REST framework's default would refuse each object below `~`."""
        return self.has_permission(request, view)

    def grants(self, session: SessionClaims) -> bool:
        """Return whether the session grants this."""
        raise NotImplementedError


class ReverificationRequired(PermissionDenied):
    """403: the user must verify a factor again; `hint` is what Clerk's frontend hook expects.

    The hint is part of `detail`, since REST framework's own exception handler uses that as the body.
    """

    default_code = "reverification_required"
    default_detail = "Verify your identity again: the last verification was too long ago."

    def __init__(self, hint: Mapping[str, Any]) -> None:
        super().__init__({"detail": self.default_detail, "clerk_error": hint})
        self.hint = hint
        detail: Any = self.detail
        wanted = detail["clerk_error"]["metadata"]["reverification"]
        if isinstance(wanted, dict):  # REST framework has turned the number into a text
            wanted["afterMinutes"] = _Minutes(wanted["afterMinutes"])

    def get_codes(self) -> str:
        """Return the code, as other refusals do."""
        return self.default_code


class _Minutes(int):
    # Exception handlers expect a code at each value of `detail`.
    code = ReverificationRequired.default_code


class HasOrganization(SessionPermission):
    """An organization is active."""

    code = "organization_required"
    message = "This needs an active organization. Select one, and request a new session token."

    def grants(self, session: SessionClaims) -> bool:
        """Return whether the session has an active organization."""
        return session.organization is not None


def HasOrganizationRole(role: str) -> type[SessionPermission]:  # noqa: N802 - it returns a class
    """Return the class that requires this role in the active organization, such as `admin`.

    Raises ValueError for a name that no role can have.
    """
    wanted = _check(strip_org(role), form=_SLUG, example="admin")

    class Permission(SessionPermission):
        code = "organization_role_required"
        message = f"This needs the role {wanted} in the active organization."

        def grants(self, session: SessionClaims) -> bool:
            return session.organization is not None and session.organization.role == wanted

    return Permission


def HasOrganizationPermission(permission: str) -> type[SessionPermission]:  # noqa: N802 - it returns a class
    """Return the class that requires this permission, such as `org:reports:read`.

    Session tokens do not contain Clerk's system permissions (`org:sys_...`): those are always refused. Raises
    ValueError for a name that no permission can have.
    """
    wanted = "org:" + _check(strip_org(permission), form=f"{_SLUG}:{_SLUG}", example="org:reports:read")

    class Permission(SessionPermission):
        code = "organization_permission_required"
        message = f"This needs the permission {wanted} in the active organization."

        def grants(self, session: SessionClaims) -> bool:
            return session.organization is not None and wanted in session.organization.permissions

    return Permission


def HasFeature(feature: str) -> type[SessionPermission]:  # noqa: N802 - it returns a class
    """Return the class that requires a feature of the organization (`o:slug`) or the user (`u:slug`).

    A `slug` alone means either of them. Raises ValueError for a name of another form.
    """
    wanted = _scoped(feature)

    class Permission(SessionPermission):
        code = "feature_required"
        message = f"This needs the feature {feature}."

        def grants(self, session: SessionClaims) -> bool:
            return not wanted.isdisjoint(session.features)

    return Permission


def HasPlan(plan: str) -> type[SessionPermission]:  # noqa: N802 - it returns a class
    """Return the class that requires a plan of the organization (`o:slug`) or the user (`u:slug`).

    A `slug` alone means either of them. Raises ValueError for a name of another form.
    """
    wanted = _scoped(plan)

    class Permission(SessionPermission):
        code = "plan_required"
        message = f"This needs the plan {plan}."

        def grants(self, session: SessionClaims) -> bool:
            return not wanted.isdisjoint(session.plans)

    return Permission


def RecentlyVerified(level: str | tuple[str, int]) -> type[SessionPermission]:  # noqa: N802 - it returns a class
    """Return the class that requires a recent verification of the user's factors.

    `level` is `strict_mfa`, `strict`, `moderate`, `lax`, or a pair of a level and minutes such as
    `("second_factor", 30)`. Raises ValueError for any other.
    """
    requirement = parse_reverification(level)

    class Permission(SessionPermission):
        code = ReverificationRequired.default_code
        hint = requirement.hint
        is_refused = False

        def grants(self, session: SessionClaims) -> bool:
            is_met = requirement.is_met_by(session.factor_ages)
            self.is_refused = not is_met
            return is_met

        @property
        def message(self) -> str:
            """Return the message, or raise ReverificationRequired after a session was refused.

            REST framework reads `message` only of a class that is listed by itself and has refused. The
            exception carries the hint, for which a message has no place.
            """
            if self.is_refused:
                raise ReverificationRequired(self.hint)
            return ReverificationRequired.default_detail

    return Permission


def _scoped(name: str) -> frozenset[str]:
    _check(name, form=f"(?:[ou]:)?{_SLUG}", example="o:reports")
    return frozenset({name} if ":" in name else {f"o:{name}", f"u:{name}"})


def _check(name: str, *, form: str, example: str) -> str:
    if not re.fullmatch(form, name):
        raise ValueError(f"{name!r} can never match: write it like {example!r}.")
    return name
