"""The core of authentication: from a session token to a saved Django user. It imports no REST framework.

An adapter reads the token from a request, calls `sign_in`, and answers with the status of the exception:

SignInError
    SignInRefused           401  the token is not valid, or its user was deleted in Clerk
    UserInactive            403  the user is blocked, or may not be impersonated
    SignInUnavailable       503  a failure of this program or of Clerk, never of the token
        UnknownKey          503  the token's key is unknown, and no fetch has decided yet whether it exists
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar, NamedTuple

from django.db import Error

from accounts.adapter import get_user, has_rights, has_user, may_sign_in
from accounts.clerk.fields import EXTRA, is_equal
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
from accounts.db import failure_reason, retry_on_dead_connection, savepoint_in_view
from accounts.deadline import Breaker, database_deadline
from accounts.models import User, get_identity_model
from accounts.signals import authentication_decided, sync_failed
from accounts.sync import UserDeleted, merge_profile, sync_user

UNAVAILABLE = "The service cannot answer at the moment. Nothing is lost; try again shortly."
INACTIVE = {
    "user_inactive": "This account is banned or deactivated. Contact the support team.",
    "impersonation_of_staff": (
        "Users who are staff or have permissions cannot be impersonated. Sign in as yourself."
    ),
}

logger = logging.getLogger(__name__)
breaker = Breaker("authentication")


class SignIn(NamedTuple):
    """A saved user, and the verified session."""

    user: User
    session: SessionClaims


class SignInError(Exception):
    """The token gives no user. `code` is the reason; the text is for users; `status` is that of HTTP."""

    status: ClassVar[int]

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class SignInRefused(SignInError):
    """The token is not valid, or its user was deleted in Clerk."""

    status = 401

    def __init__(self, code: str) -> None:
        super().__init__(code, f"The session token was refused: {code}. Sign in again or refresh it.")


class UserInactive(SignInError):
    """The user is deactivated locally or banned in Clerk, or has permissions and the session an actor."""

    status = 403

    def __init__(self, code: str) -> None:
        super().__init__(code, INACTIVE[code])


class SignInUnavailable(SignInError):
    """A failure of this program or of Clerk, never of the token; `retry_after` is in seconds."""

    status = 503

    def __init__(self, code: str, *, retry_after: int = 5) -> None:
        super().__init__(code, UNAVAILABLE)
        self.retry_after = retry_after


class UnknownKey(SignInUnavailable):
    """The token's key is unknown, and no fetch has decided yet whether it exists."""


def sign_in(token: str) -> SignIn:
    """Return the saved user, created at the first sign-in, and the verified session of a Clerk token.

    Raises SignInRefused, UserInactive or SignInUnavailable; no other exception. A session with an actor
    (impersonation) is refused if the user is staff or has permissions. Sends `authentication_decided` with
    "ok" or the code of the exception.
    """
    try:
        with database_deadline(breaker):
            signed_in = _get_user_of_token(token)
    except UnknownKey as undecided:
        authentication_decided.send_robust(sender=SignIn, outcome=undecided.code, is_unknown_key=True)
        raise
    except SignInError as error:
        authentication_decided.send_robust(sender=SignIn, outcome=error.code)
        raise
    authentication_decided.send_robust(sender=SignIn, outcome="ok")
    return signed_in


def read_bearer_token(authorization: str) -> str | None:
    """Return what follows the scheme `Bearer` in an Authorization header, or None if it has another form."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _get_user_of_token(token: str) -> SignIn:
    """Return what `sign_in` returns, and raise what it raises.

    An unexpected exception is a fault of this program, never of the token, and becomes SignInUnavailable.
    """
    clerk_id = None
    try:
        claims = verify_token(token)
        clerk_id = claims.user_id
        identity = get_or_sync_identity(profile_from_claims(claims, mapping=get_claims_map()))
        refuse_blocked(identity, claims)
        user = get_user(identity)
    except SignInError:
        raise
    except Error as error:
        _notify_failed(clerk_id, reason=failure_reason(error))
        raise SignInUnavailable("sync_unavailable") from None
    except Exception as error:  # noqa: BLE001 - an unexpected error is 503, logged by its class
        log_unexpected(logger, "Unexpected error during authentication", error=error)
        _notify_failed(clerk_id, reason="unexpected_error")
        raise SignInUnavailable("sync_unavailable") from None
    return SignIn(user, claims)


def verify_token(token: str) -> SessionClaims:
    """Return the verified session; raise SignInRefused for faults of the token, else SignInUnavailable."""
    try:
        return _get_verifier().verify(token)
    except InvalidToken as invalid:
        if invalid.is_unexpected:
            _notify_failed(None, reason="unexpected_error")
        logger.info("token refused", extra={"reason": invalid.reason, "why": invalid.detail})
        raise SignInRefused(invalid.reason) from None
    except KeysUnavailable as unavailable:
        if unavailable.is_unknown_key:  # no failure: anyone can send such a token
            raise UnknownKey("keys_unavailable", retry_after=unavailable.retry_after) from None
        _notify_failed(None, reason="unexpected_error" if unavailable.is_unexpected else "keys_unavailable")
        raise SignInUnavailable("keys_unavailable", retry_after=unavailable.retry_after) from None
    except ClockSkewed:
        logger.info("token not valid at the time of this machine, whose clock is wrong")
        raise SignInUnavailable("sync_unavailable") from None
    except VerificationFailed:
        _notify_failed(None, reason="unexpected_error")
        raise SignInUnavailable("sync_unavailable") from None


def _get_verifier() -> SessionVerifier:
    """Return the verifier; raise KeysUnavailable if no key source can be built from the settings."""
    try:
        get_key_source()
    except Exception as error:  # noqa: BLE001 - a wrong setting is no fault of the token
        raise log_key_source_failure(error) from None
    return get_verifier()


def get_or_sync_identity(profile: ClerkProfile) -> Any:
    """Return the live row of the user, created or updated from the claims.

    If the update fails, the stored row is returned. Raises SignInRefused if the user was deleted in Clerk,
    and SignInUnavailable if there is no row with a user and none could be stored.
    """
    identity = None
    try:
        identities = get_identity_model().objects
        identity = retry_on_dead_connection(
            lambda: identities.by_clerk_id(profile.clerk_id, with_extra=profile.has_extra)
        )
        if identity is None or not has_user(identity) or _has_changes(identity, profile):
            identity = retry_on_dead_connection(lambda: _sync(profile))
        else:
            for field in profile.unusable:
                _notify_failed(profile.clerk_id, reason=f"unusable_field:{field}")
    except UserDeleted:
        raise SignInRefused("user_deleted") from None
    except Error as error:
        _notify_failed(profile.clerk_id, reason=failure_reason(error))
    if identity is None or not has_user(identity):
        raise SignInUnavailable("sync_unavailable")
    return identity


def _sync(profile: ClerkProfile) -> Any:
    """Apply the claims and return the live row; raise what `sync_user` raises."""
    with savepoint_in_view():
        return sync_user(profile).identity


def refuse_blocked(identity: Any, claims: SessionClaims) -> None:
    """Raise UserInactive for a blocked user, and if an actor would get the permissions of a user.

    Raises django.db.Error if the user or the permissions cannot be read.
    """
    if not may_sign_in(identity):
        raise UserInactive("user_inactive")
    if claims.actor is not None and has_rights(get_user(identity)):
        raise UserInactive("impersonation_of_staff")


def _has_changes(identity: Any, profile: ClerkProfile) -> bool:
    """Return whether the claims change the row; the versions are loaded only if a value differs."""
    for field, value in profile.values.items():
        if field in EXTRA:
            is_same = is_equal(value, identity.extra.get(field))
        else:
            # Null, "" and False are equal: a user without an address needs no second statement.
            is_same = (value or None) == (getattr(identity, field) or None)
        if not is_same:
            return bool(merge_profile(identity, profile).values)
    return False


def _notify_failed(clerk_id: str | None, *, reason: str) -> None:
    sync_failed.send_robust(sender=get_identity_model(), clerk_id=clerk_id, source="request", reason=reason)
