"""The way in: an Authorization header becomes a real, saved Django user."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import Error, router
from django.db.models import Q
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.clerk.jws import key_source_failed
from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.profiles import ClerkProfile, profile_from_claims
from accounts.clerk.tokens import InvalidToken, SessionClaims, SessionVerifier, VerificationFailed
from accounts.clerk.unexpected import log_unexpected
from accounts.conf import claims_map, get_key_source, get_verifier
from accounts.db import failure_reason, retry_on_dead_connection
from accounts.models import User
from accounts.signals import authentication_decided, sync_failed
from accounts.sync import UserDeleted, merge_profile, sync_user

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


class ImpersonationOfStaff(PermissionDenied):
    """403: a session with an actor, for a user who is staff or has rights in this database."""

    default_code = "impersonation_of_staff"
    default_detail = "Users who are staff or have permissions cannot be impersonated. Sign in as yourself."


class ServiceUnavailable(APIException):
    """503: our machinery or Clerk's, never the token; `retry_after` is in seconds."""

    status_code = 503
    default_code = "sync_unavailable"
    default_detail = "The service cannot answer at the moment. Nothing is lost; try again shortly."

    def __init__(self, detail: str | None = None, code: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, code)
        self.retry_after = retry_after


class ClerkAuthentication(BaseAuthentication):
    """Verify a Clerk session token and return the local row of its user, created at the first request.

    A session with an actor (impersonation) never gets a user who is staff or has rights, in no view.
    """

    def authenticate(self, request: Request) -> tuple[User, SessionClaims] | None:
        """Return the user and the session, or None without a bearer token."""
        token = bearer_token(request)
        if token is None:
            return None
        try:
            user, claims = sign_in(token)
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


def sign_in(token: str) -> tuple[User, SessionClaims]:
    """Return the user and the session of a token.

    Raises TokenRefused, UserInactive, ImpersonationOfStaff, or ServiceUnavailable: an exception that no rule
    foresees is a fault of this program, and never the token's.
    """
    clerk_id = None
    try:
        claims = verify_token(token)
        clerk_id = claims.user_id
        user = get_or_sync_user(profile_from_claims(claims, mapping=claims_map()))
        refuse_blocked(user, claims)
    except APIException:
        raise
    except Error as error:
        # By its reason alone: the texts of a database error may hold what the row holds.
        _report(clerk_id, reason=failure_reason(error))
        raise ServiceUnavailable from None
    except Exception as error:  # noqa: BLE001 - the edge: an error of ours is 503, logged by its class
        log_unexpected(logger, "Unexpected error during authentication", error=error)
        _report(clerk_id, reason="unexpected_error")
        raise ServiceUnavailable from None
    return user, claims


def verify_token(token: str) -> SessionClaims:
    """Verify the token; raises TokenRefused for its own faults, ServiceUnavailable for faults of ours."""
    try:
        return _get_verifier().verify(token)
    except InvalidToken as invalid:
        if invalid.is_unexpected:
            _report(None, reason="unexpected_error")
        logger.info("token refused", extra={"reason": invalid.reason, "why": invalid.detail})
        raise TokenRefused(invalid.reason) from None
    except KeysUnavailable as unavailable:
        _report(None, reason="unexpected_error" if unavailable.is_unexpected else "keys_unavailable")
        raise ServiceUnavailable(code="keys_unavailable", retry_after=unavailable.retry_after) from None
    except VerificationFailed:
        _report(None, reason="unexpected_error")
        raise ServiceUnavailable from None


def _get_verifier() -> SessionVerifier:
    """Return the verifier; raises KeysUnavailable if the settings name a key source that cannot be built."""
    try:
        get_key_source()
    except Exception as error:  # noqa: BLE001 - whatever the settings hold, it is not the token's fault
        raise key_source_failed(error) from None
    return get_verifier()


def get_or_sync_user(profile: ClerkProfile) -> User:
    """Return the live row of the user, updated from the claims; raises TokenRefused or ServiceUnavailable."""
    user = None
    try:
        alias = router.db_for_write(User)
        user = retry_on_dead_connection(
            lambda: User.objects.by_clerk_id(profile.clerk_id, using=alias), using=alias
        )
        if user is None or _has_changes(user, profile):
            user = sync_user(profile).user
        else:
            for field in profile.unusable:
                _report(profile.clerk_id, reason=f"unusable_field:{field}")
    except UserDeleted:
        raise TokenRefused("user_deleted") from None
    except Error as error:
        # By its reason alone: the texts of a database error may hold what the row holds.
        _report(profile.clerk_id, reason=failure_reason(error))
    if user is None:
        raise ServiceUnavailable
    return user


def refuse_blocked(user: User, claims: SessionClaims) -> None:
    """Raise UserInactive, or ImpersonationOfStaff for a session with an actor of a user who has rights."""
    if user.banned or not user.is_active:
        raise UserInactive
    if claims.actor is not None and has_rights(user):
        raise ImpersonationOfStaff


def has_rights(user: User) -> bool:
    """Return whether the user is staff, superuser, or has groups or permissions of their own.

    One statement, on the database that is written to: a lagging replica must not hide a right. A group counts
    even while it has no permission. Raises django.db.Error.
    """
    if user.is_staff or user.is_superuser:
        return True
    has_any = Q(groups__isnull=False) | Q(user_permissions__isnull=False)
    alias = router.db_for_write(User)
    users = User.objects.using(alias).filter(has_any, pk=user.pk)
    return retry_on_dead_connection(users.exists, using=alias)


def _has_changes(user: User, profile: ClerkProfile) -> bool:
    """Tell whether the claims would write something; the versions are loaded only if a value differs."""
    for field, value in profile.values.items():
        # Null, "" and False are the same nothing: no second statement for those who have no address.
        if (value or None) != (getattr(user, field) or None):
            return bool(merge_profile(user, profile).values)
    return False


def _report(clerk_id: str | None, *, reason: str) -> None:
    sync_failed.send_robust(sender=User, clerk_id=clerk_id, source="request", reason=reason)
