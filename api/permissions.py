"""Permissions of the API beyond authentication."""

from __future__ import annotations

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.clerk.tokens import SessionClaims


class IsStaff(BasePermission):
    """Staff with a Clerk session of their own.

    `ClerkAuthentication` already refuses an actor for staff; this does not depend on it.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the user is staff and the session has no actor."""
        claims = request.auth
        return isinstance(claims, SessionClaims) and claims.actor is None and bool(request.user.is_staff)


class IsStaffOrDebug(BasePermission):
    """Everyone in debug, otherwise staff with an admin session."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request may read the schema."""
        return settings.DEBUG or bool(getattr(request.user, "is_staff", False))
