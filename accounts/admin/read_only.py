"""Bases for the admin of rows that only the application writes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.runner import (
    fetch_again,
    has_action_permission,
    refuse_more_rights,
    run_action,
    select_rows,
)
from accounts.admin.search import CappedPaginator
from accounts.models import get_identity_model


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Show rows, without a form: they record what happened. `prune_history` deletes old ones."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the admin neither adds, changes nor deletes these rows."""
        return False

    has_change_permission = has_delete_permission = has_add_permission


class SyncAgainAdmin(ReadOnlyAdmin):
    """Show many rows with a `clerk_id`, and fetch their users from Clerk again."""

    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    actions = ("sync_again",)
    no_user_message: str  # shown when no selected row has a Clerk id

    @admin.action(description="Sync again from Clerk", permissions=["sync"])
    def sync_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Fetch each user of the selected rows from Clerk, once."""
        selected = select_rows(self, request, queryset)
        row_by_user = {row.clerk_id: row for row in selected if row.clerk_id}
        if selected and not row_by_user:
            self.message_user(request, self.no_user_message, messages.WARNING)

        def sync(row: Any) -> str:
            for identity in get_identity_model().objects.live().filter(clerk_id=row.clerk_id):
                refuse_more_rights(request, identity)
            return fetch_again(row.clerk_id)

        run_action(self, request, row_by_user.values(), name="sync_again", action=sync)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may fetch users from Clerk."""
        return has_action_permission(request, "sync")
