"""Authentication for Django REST framework: from the Authorization header to a saved Django user."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error
from django.db.models import Q
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.clerk.jws import log_key_source_failure
from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.profiles import ClerkProfile, profile_from_claims
from accounts.clerk.tokens import (
    ClockSkewed,
    InvalidToken,
    SessionClaims,
    SessionVerifier,
    VerificationFailed,
)
from accounts.clerk.unexpected import log_unexpected
from accounts.conf import get_claims_map, get_key_source, get_verifier
from accounts.db import failure_reason, retry_on_dead_connection
from accounts.deadline import Breaker, database_deadline
from accounts.models import User
from accounts.signals import authentication_decided, sync_failed
from accounts.sync import UserDeleted, merge_profile, sync_user

logger = logging.getLogger(__name__)
breaker = Breaker("authentication")


class AuthenticatedRequest(Request):
    """A request as type checkers should see it: a saved user, and the verified session as `auth`."""

    if TYPE_CHECKING:
        user: User
        auth: SessionClaims


class TokenRefused(AuthenticationFailed):
    """401: the token is not valid, or its user was deleted in Clerk; `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The session token was refused: {code}. Sign in again or refresh it.", code)


class UserInactive(PermissionDenied):
    """403: the user is deactivated locally or banned in Clerk."""

    default_code = "user_inactive"
    default_detail = "This account is banned or deactivated. Contact the support team."


class ImpersonationOfStaff(PermissionDenied):
    """403: a session with an actor, for a user who is staff or has permissions in this database."""

    default_code = "impersonation_of_staff"
    default_detail = "Users who are staff or have permissions cannot be impersonated. Sign in as yourself."


class ServiceUnavailable(APIException):
    """503: a failure of this program or of Clerk, never of the token; `retry_after` is in seconds."""

    status_code = 503
    default_code = "sync_unavailable"
    default_detail = "The service cannot answer at the moment. Nothing is lost; try again shortly."

    def __init__(self, detail: str | None = None, code: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, code)
        self.retry_after = retry_after


class UnknownKey(ServiceUnavailable):
    """503: the token's key is unknown, and no fetch has decided yet whether it exists."""


class ClerkAuthentication(BaseAuthentication):
    """Verify a Clerk session token and return the local user, created at the first request.

    A session with an actor (impersonation) is refused in every view if the user is staff or has permissions.
    """

    def authenticate(self, request: Request) -> tuple[User, SessionClaims] | None:
        """Return the user and the session, or None if the request has no bearer token.

        Raises TokenRefused (401), UserInactive or ImpersonationOfStaff (403), or ServiceUnavailable (503);
        no other exception. Sends `authentication_decided` with "ok" or the code of the exception.
        """
        token = read_bearer_token(request)
        if token is None:
            return None
        try:
            user, claims = sign_in(token)
        except UnknownKey as undecided:
            authentication_decided.send_robust(
                sender=type(self), outcome=undecided.get_codes(), is_unknown_key=True
            )
            raise
        except APIException as refusal:
            authentication_decided.send_robust(sender=type(self), outcome=refusal.get_codes())
            raise
        authentication_decided.send_robust(sender=type(self), outcome="ok")
        return user, claims

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which DRF would answer 403 instead of 401."""
        return "Bearer"


def read_bearer_token(request: Request) -> str | None:
    """Return what follows the scheme `Bearer` in the header, or None if there is no such header."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@database_deadline(breaker)
def sign_in(token: str) -> tuple[User, SessionClaims]:
    """Return the user and the session of a token.

    Raises TokenRefused, UserInactive, ImpersonationOfStaff or ServiceUnavailable. An unexpected exception is
    a fault of this program, never of the token, and becomes ServiceUnavailable.
    """
    clerk_id = None
    try:
        claims = verify_token(token)
        clerk_id = claims.user_id
        user = get_or_sync_user(profile_from_claims(claims, mapping=get_claims_map()))
        refuse_blocked(user, claims)
    except APIException:
        raise
    except Error as error:
        _notify_failed(clerk_id, reason=failure_reason(error))
        raise ServiceUnavailable from None
    except Exception as error:  # noqa: BLE001 - an unexpected error is 503, logged by its class
        log_unexpected(logger, "Unexpected error during authentication", error=error)
        _notify_failed(clerk_id, reason="unexpected_error")
        raise ServiceUnavailable from None
    return user, claims


def verify_token(token: str) -> SessionClaims:
    """Return the verified session; raise TokenRefused for faults of the token, else ServiceUnavailable."""
    try:
        return _get_verifier().verify(token)
    except InvalidToken as invalid:
        if invalid.is_unexpected:
            _notify_failed(None, reason="unexpected_error")
        logger.info("token refused", extra={"reason": invalid.reason, "why": invalid.detail})
        raise TokenRefused(invalid.reason) from None
    except KeysUnavailable as unavailable:
        if unavailable.is_unknown_key:  # no failure: anyone can send such a token
            raise UnknownKey(code="keys_unavailable", retry_after=unavailable.retry_after) from None
        _notify_failed(None, reason="unexpected_error" if unavailable.is_unexpected else "keys_unavailable")
        raise ServiceUnavailable(code="keys_unavailable", retry_after=unavailable.retry_after) from None
    except ClockSkewed:
        logger.info("token not valid at the time of this machine, whose clock is wrong")
        raise ServiceUnavailable from None
    except VerificationFailed:
        _notify_failed(None, reason="unexpected_error")
        raise ServiceUnavailable from None


def _get_verifier() -> SessionVerifier:
    """Return the verifier; raise KeysUnavailable if no key source can be built from the settings."""
    try:
        get_key_source()
    except Exception as error:  # noqa: BLE001 - a wrong setting is no fault of the token
        raise log_key_source_failure(error) from None
    return get_verifier()


def get_or_sync_user(profile: ClerkProfile) -> User:
    """Return the live user, created or updated from the claims.

    If the update fails, the stored row is returned. Raises TokenRefused if the user was deleted in Clerk, and
    ServiceUnavailable if there is no row and none could be stored.
    """
    user = None
    try:
        user = retry_on_dead_connection(lambda: User.objects.by_clerk_id(profile.clerk_id))
        if user is None or _has_changes(user, profile):
            user = retry_on_dead_connection(lambda: sync_user(profile).user)
        else:
            for field in profile.unusable:
                _notify_failed(profile.clerk_id, reason=f"unusable_field:{field}")
    except UserDeleted:
        raise TokenRefused("user_deleted") from None
    except Error as error:
        _notify_failed(profile.clerk_id, reason=failure_reason(error))
    if user is None:
        raise ServiceUnavailable
    return user


def refuse_blocked(user: User, claims: SessionClaims) -> None:
    """Raise UserInactive for a blocked user, ImpersonationOfStaff if an actor would get a user's rights.

    Raises django.db.Error if the rights cannot be read.
    """
    if user.banned or not user.is_active:
        raise UserInactive
    if claims.actor is not None and has_rights(user):
        raise ImpersonationOfStaff


def has_rights(user: User) -> bool:
    """Return whether the user is staff or superuser, or has groups or permissions.

    This takes at most one statement, on the write database: a lagging replica could hide a permission. A
    group without permissions counts. Raises django.db.Error.
    """
    if user.is_staff or user.is_superuser:
        return True
    has_any = Q(groups__isnull=False) | Q(user_permissions__isnull=False)
    return retry_on_dead_connection(User.objects.filter(has_any, pk=user.pk).exists)


def _has_changes(user: User, profile: ClerkProfile) -> bool:
    """Return whether the claims change the row; the versions are loaded only if a value differs."""
    for field, value in profile.values.items():
        # Null, "" and False are equal: a user without an address needs no second statement.
        if (value or None) != (getattr(user, field) or None):
            return bool(merge_profile(user, profile).values)
    return False


def _notify_failed(clerk_id: str | None, *, reason: str) -> None:
    sync_failed.send_robust(sender=User, clerk_id=clerk_id, source="request", reason=reason)
