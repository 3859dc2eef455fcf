"""The authentication class of Django REST framework, an adapter of `accounts.sign_in`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from accounts.clerk.jws import is_foreign_token
from accounts.clerk.tokens import SessionClaims
from accounts.conf import get_issuers, settings
from accounts.models import User
from accounts.sign_in import (
    UNAVAILABLE,
    SignInRefused,
    SignInUnavailable,
    UserInactive,
    read_bearer_token,
    sign_in,
)


class AuthenticatedRequest(Request):
    """A request as type checkers should see it: a saved user, and the verified session as `auth`."""

    if TYPE_CHECKING:
        user: User
        auth: SessionClaims


class ServiceUnavailable(APIException):
    """503: a failure of this program or of Clerk, never of the token; `retry_after` is in seconds."""

    status_code = SignInUnavailable.status
    default_code = "sync_unavailable"
    default_detail = UNAVAILABLE

    def __init__(self, detail: str | None = None, code: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, code)
        self.retry_after = retry_after


class ClerkAuthentication(BaseAuthentication):
    """Verify a Clerk session token and return the local user, created at the first request.

    A session with an actor (impersonation) is refused in every view if the user is staff or has permissions.
    """

    def authenticate(self, request: Request) -> tuple[User, SessionClaims] | None:
        """Return the user and the session, or None if the request has no bearer token of ours.

        A token of another system is left to the next authentication class, if there is one, unless
        CLERK_IGNORE_FOREIGN_TOKENS is off.

        Raises AuthenticationFailed (401), PermissionDenied (403) or ServiceUnavailable (503), with the code
        of `accounts.sign_in`; no other exception.
        """
        token = read_bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None or _is_left_to_next(request, token, authentication=self):
            return None
        try:
            return sign_in(token)
        except SignInRefused as refused:
            raise AuthenticationFailed(str(refused), refused.code) from None
        except UserInactive as inactive:
            raise PermissionDenied(str(inactive), inactive.code) from None
        except SignInUnavailable as unavailable:
            raise ServiceUnavailable(code=unavailable.code, retry_after=unavailable.retry_after) from None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge, without which DRF would answer 403 instead of 401."""
        return "Bearer"


def _is_left_to_next(request: Request, token: str, *, authentication: ClerkAuthentication) -> bool:
    """Return whether another authentication class follows, and the token is not one of Clerk's."""
    authenticators = getattr(request, "authenticators", None) or (authentication,)
    if authenticators[-1] is authentication or not settings.CLERK_IGNORE_FOREIGN_TOKENS:
        return False
    return is_foreign_token(token, issuers=get_issuers())
