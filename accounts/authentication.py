"""The way in: an Authorization header becomes a real, saved Django user."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error, router
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.profiles import ClerkProfile, profile_from_claims
from accounts.clerk.tokens import InvalidToken, SessionClaims
from accounts.conf import claims_map, get_verifier
from accounts.db import failure_reason, retry_on_dead_connection
from accounts.models import User
from accounts.signals import authentication_decided, sync_failed
from accounts.sync import UserDeleted, merged_with, sync_user

logger = logging.getLogger(__name__)


class AuthenticatedRequest(Request):
    """A request whose user is a saved row and whose `auth` is the verified session: for type checkers."""

    if TYPE_CHECKING:
        user: User
        auth: SessionClaims


class TokenRefused(AuthenticationFailed):
    """401: the fault is the token's own; the code says which."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The session token was refused: {code}. Sign in again or refresh it.", code)


class UserInactive(PermissionDenied):
    """403: deactivated here, or banned in Clerk."""

    default_code = "user_inactive"
    default_detail = "This account is deactivated. Ask the support team to activate it."


class ServiceUnavailable(APIException):
    """503: our machinery or Clerk's, never the token; `retry_after` is in seconds."""

    status_code = 503
    default_code = "sync_unavailable"
    default_detail = "The service cannot answer at the moment. Nothing is lost; try again shortly."

    def __init__(self, detail: str | None = None, code: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, code)
        self.retry_after = retry_after


class ClerkAuthentication(BaseAuthentication):
    """Verify a Clerk session token and find, or make, the person's row."""

    def authenticate(self, request: Request) -> tuple[User, SessionClaims] | None:
        """Return the user and the session, or None without a bearer token."""
        token = bearer_token(request)
        if token is None:
            return None
        try:
            claims = verified(token)
            user = user_for(profile_from_claims(claims, mapping=claims_map()))
            if user.banned or not user.is_active:
                raise UserInactive
        except APIException as refusal:
            authentication_decided.send_robust(sender=type(self), outcome=refusal.get_codes())
            raise
        authentication_decided.send_robust(sender=type(self), outcome="ok")
        return user, claims

    def authenticate_header(self, request: Request) -> str:
        """Make DRF answer 401 and not 403."""
        return "Bearer"


def bearer_token(request: Request) -> str | None:
    """Return what follows the scheme `Bearer`, None if there is no such header."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def verified(token: str) -> SessionClaims:
    """Verify the token; raises TokenRefused for its own faults, ServiceUnavailable without a key."""
    try:
        return get_verifier().verify(token)
    except InvalidToken as invalid:
        logger.info("token refused", extra={"reason": invalid.reason, "why": invalid.detail})
        raise TokenRefused(invalid.reason) from None
    except KeysUnavailable as unavailable:
        sync_failed.send_robust(sender=User, clerk_id=None, source="request", reason="keys_unavailable")
        raise ServiceUnavailable(code="keys_unavailable", retry_after=unavailable.retry_after) from None


def user_for(profile: ClerkProfile) -> User:
    """Return the person's live row, brought up to the claims; raises TokenRefused or ServiceUnavailable."""
    user = None
    try:
        alias = router.db_for_write(User)
        user = retry_on_dead_connection(
            lambda: User.objects.by_clerk_id(profile.clerk_id, using=alias), using=alias
        )
        if user is None or _differs(user, profile):
            user = sync_user(profile).user
        else:
            for field in profile.unusable:
                _report(profile, reason=f"unusable_field:{field}")
    except UserDeleted:
        raise TokenRefused("user_deleted") from None
    except Error as error:
        # By its reason alone: the texts of a database error may hold what the row holds.
        _report(profile, reason=failure_reason(error))
    if user is None:
        raise ServiceUnavailable
    return user


def _differs(user: User, profile: ClerkProfile) -> bool:
    """Tell whether the claims would write something; the versions are loaded only if a value differs."""
    for field, value in profile.values.items():
        # Null, "" and False are the same nothing: no second statement for those who have no address.
        if (value or None) != (getattr(user, field) or None):
            return bool(merged_with(user, profile).values)
    return False


def _report(profile: ClerkProfile, *, reason: str) -> None:
    sync_failed.send_robust(sender=User, clerk_id=profile.clerk_id, source="request", reason=reason)
