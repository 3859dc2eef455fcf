"""The ledger in the admin, to look at, and to mend from: machines own its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin_actions import AT_ONCE, Failed, fetch_again
from webhooks.models import WebhookEvent

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[WebhookEvent]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(WebhookEvent)
class WebhookEventAdmin(ModelAdmin):
    """What came and what became of it, newest first. Found by the exact Svix or Clerk id."""

    list_display = ("received_at", "type", "clerk_id", "outcome", "error_code", "attempts", "occurred_at")
    list_filter = ("outcome", "type", "error_code", "received_at")
    search_fields = ("svix_id__exact", "clerk_id__exact")
    search_help_text = "The exact svix-id or Clerk id."
    ordering = ("-received_at",)
    date_hierarchy = "received_at"
    show_full_result_count = False
    actions = ("sync_again",)

    @admin.action(description="Sync these people again from Clerk", permissions=["sync"])
    def sync_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Mend what failed: fetch each person of the chosen events from Clerk, once."""
        people = {entry.clerk_id: entry for entry in queryset[:AT_ONCE] if entry.clerk_id}
        for clerk_id, entry in people.items():
            try:
                text, level = fetch_again(clerk_id), messages.SUCCESS
            except Failed as failed:
                text, level = str(failed), messages.ERROR
            self.message_user(request, text, level)
            self.log_change(request, entry, text)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Let those fetch a person who may change one."""
        return request.user.has_perm("accounts.change_user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: events come from Clerk alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: WebhookEvent | None = None) -> bool:
        """Refuse: the ledger says what was, not what should have been."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WebhookEvent | None = None) -> bool:
        """Refuse: without its row an event would have a second effect. `prune_history` waits long enough."""
        return False
