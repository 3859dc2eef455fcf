"""The user model of a clone: the Clerk identity and the Django user are one row."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models

from accounts.models.identity import AbstractClerkIdentity, IdentityManager, identity_permissions


class ClerkUserManager(IdentityManager["User"], UserManager["User"]):
    """Django's manager of users, with the look-up of the warm request."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str | None:  # type: ignore[override]
        """Return the address with its domain in lower case, or None if it is empty."""
        return super().normalize_email(email) or None


class User(AbstractClerkIdentity, AbstractUser):  # type: ignore[misc] # null means no address
    """A user of Clerk, or local staff, whose `clerk_id` is None."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    objects: ClassVar[ClerkUserManager] = ClerkUserManager()

    class Meta:
        swappable = "AUTH_USER_MODEL"
        permissions = identity_permissions("user")
        constraints = (
            models.UniqueConstraint(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=True),
                name="one_live_row_per_clerk_id",
            ),
        )
        indexes = (
            models.Index(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_rows_by_clerk_id",
            ),
            # For the admin's filters: they select few rows, without a scan of the table.
            models.Index(
                fields=["deleted_by", "-created_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_rows_by_whom",
            ),
            models.Index(
                fields=["-created_at"],
                condition=models.Q(banned=True) | models.Q(is_active=False),
                name="blocked_rows",
            ),
            models.Index(fields=["-created_at"], condition=models.Q(is_staff=True), name="staff_rows"),
        )

    def __str__(self) -> str:
        return self.clerk_id or self.username
