"""The Clerk identity of a user whose model belongs to the project."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models.identity import AbstractClerkIdentity, identity_permissions


class ClerkAccount(AbstractClerkIdentity):
    """A Clerk identity beside the project's own user, which it never replaces.

    `user` is null for a deletion of an unknown user, and after the project has deleted its user. A live
    account without a user counts as deleted locally: the next sign-in creates a new account and user.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="clerk_account",
    )
    # A deactivation by an operator; the `is_active` of the project's user counts as well.
    is_active = models.BooleanField(default=True)
    # Always false: the rights are those of the user. Monitoring reads this column of either table.
    is_staff = models.BooleanField(default=False, editable=False)

    JOINED = ("user",)
    # A warm request decides by none of these, and PostgreSQL plans a join of fewer columns sooner.
    UNREAD = (
        *AbstractClerkIdentity.UNREAD,
        *("created_at", "updated_at", "deleted_at", "deleted_by", "restored_at", "created_via", "is_staff"),
    )

    class Meta:
        swappable = "CLERK_IDENTITY_MODEL"
        permissions = identity_permissions("clerkaccount")
        constraints = (
            models.UniqueConstraint(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=True),
                name="one_live_account_per_clerk_id",
            ),
        )
        indexes = (
            models.Index(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_accounts_by_clerk_id",
            ),
            # For the admin's filters: they select few rows, without a scan of the table.
            models.Index(
                fields=["deleted_by", "-created_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_accounts_by_whom",
            ),
            models.Index(
                fields=["-created_at"],
                condition=models.Q(banned=True) | models.Q(is_active=False),
                name="blocked_accounts",
            ),
        )

    def __str__(self) -> str:
        return self.clerk_id or str(self.pk)
