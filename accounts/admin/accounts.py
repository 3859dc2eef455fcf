"""The admin of Clerk accounts, beside the project's own page of users, which stays as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.clerk_fields import OWNED_FIELDS, show_text
from accounts.admin.identities import OWNED, RECORD, SUMMARY_FIELDS, SYNCED, IdentityAdmin


class ClerkAccountAdminBase(IdentityAdmin):
    """Show what Clerk has of a user, deactivate the sign-in with Clerk, and link to the project's user."""

    list_display: tuple[str, ...] = (*IdentityAdmin.list_display, "own_user")
    readonly_fields: ClassVar[tuple[Any, ...]] = (*IdentityAdmin.readonly_fields, *OWNED_FIELDS, "own_user")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the accounts with their users, in the same statement."""
        return super().get_queryset(request).select_related("user")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of Clerk and the local ones in sections of their own."""
        return (
            (None, {"fields": (*SUMMARY_FIELDS, "own_user"), "description": SYNCED}),
            ("From Clerk", {"fields": OWNED_FIELDS, "description": OWNED}),
            ("Local", {"fields": ("is_active",)}),
            RECORD,
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: a sign-in, a webhook or a command creates accounts."""
        return False

    @admin.display(description="User of this project")
    def own_user(self, account: Any) -> SafeString | str:
        """Link to the page of the user, if the project has one in the admin."""
        if account.user is None:
            return "-"
        options = get_user_model()._meta
        try:
            address = reverse(
                f"admin:{options.app_label}_{options.model_name}_change", args=[account.user_id]
            )
        except NoReverseMatch:
            return show_text(str(account.user))
        return format_html('<a href="{}">{}</a>', address, show_text(str(account.user)))
