"""Who may come into the admin with a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend


class StaffBackend(ModelBackend):
    """Django's own, which lets nobody in, and keeps nobody in, who is deleted or banned."""

    def user_can_authenticate(self, user: Any) -> bool:
        """Ask of the row what the API asks of it."""
        return super().user_can_authenticate(user) and user.deleted_at is None and not user.banned
