"""Password sign-in to the admin, for local staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet

from accounts.db import write_alias


class StaffBackend(ModelBackend):
    """Django's backend, which also refuses users that are deleted or banned, and ends their sessions.

    Permissions are read from the write database: a replica may still have a permission that was removed.
    """

    def user_can_authenticate(self, user: Any) -> bool:
        """Return whether the user is active, not deleted and not banned, as the API requires."""
        return super().user_can_authenticate(user) and user.deleted_at is None and not user.banned

    def _get_user_permissions(self, user_obj: Any) -> QuerySet[Permission]:
        permissions: QuerySet[Permission] = super()._get_user_permissions(user_obj)  # type: ignore[misc]
        return permissions.using(write_alias())

    def _get_group_permissions(self, user_obj: Any) -> QuerySet[Permission]:
        permissions: QuerySet[Permission] = super()._get_group_permissions(user_obj)  # type: ignore[misc]
        return permissions.using(write_alias())
