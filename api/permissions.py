"""Who may ask what, beyond being signed in."""

from __future__ import annotations

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.clerk.tokens import SessionClaims


class IsStaff(BasePermission):
    """Staff, by a Clerk session of their own.

    `ClerkAuthentication` has refused sessions with an actor before; they are not staff here either.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the user is staff and the session has no actor."""
        claims = request.auth
        return isinstance(claims, SessionClaims) and claims.actor is None and bool(request.user.is_staff)


class IsStaffOrDebug(BasePermission):
    """Anyone in debug, else whoever is signed in to the admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether whoever asks may read the description of the API."""
        return may_read_docs(request)


def may_read_docs(request: Request) -> bool:
    """Tell whether whoever asks may read the description of the API; in debug without a look at who it is."""
    return settings.DEBUG or bool(getattr(request.user, "is_staff", False))
