"""Password sign-in to the admin, for local staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.audit import SecurityEvent, client_address, hash_name, log_event
from accounts.db import write_alias
from accounts.login_limit import login_limiter


class StaffBackend(ModelBackend):
    """Django's backend, which also refuses users that are deleted or banned, and ends their sessions.

    Logins are limited before the password is hashed, for unknown user names too.
    Permissions are read from the write database: a replica may still have a permission that was removed.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user with this password, or None; raise TooManyLogins beyond the limits."""
        if username is None:
            username = kwargs.get(get_user_model().USERNAME_FIELD)
        if username is None or password is None:
            return None
        with login_limiter.attempt(str(username), address=client_address(request)) as attempt:
            user = super().authenticate(request, username=username, password=password)
            attempt.failed = user is None or not user.is_staff
        if user is not None and attempt.failed:
            # Django sends its signal for a wrong password only.
            address = client_address(request)
            log_event(SecurityEvent.SIGN_IN_FAILED, address=address, username_hash=hash_name(username))
        return user

    async def aauthenticate(self, *arguments: Any, **credentials: Any) -> Any:
        """Do the same in a thread; Django's own method would hash without a limit."""
        return await BaseBackend.aauthenticate(self, *arguments, **credentials)

    def user_can_authenticate(self, user: Any) -> bool:
        """Return whether the user is active, not deleted and not banned, as the API requires."""
        return super().user_can_authenticate(user) and user.deleted_at is None and not user.banned

    def _get_user_permissions(self, user_obj: Any) -> QuerySet[Permission]:
        permissions: QuerySet[Permission] = super()._get_user_permissions(user_obj)  # type: ignore[misc]
        return permissions.using(write_alias())

    def _get_group_permissions(self, user_obj: Any) -> QuerySet[Permission]:
        permissions: QuerySet[Permission] = super()._get_group_permissions(user_obj)  # type: ignore[misc]
        return permissions.using(write_alias())
