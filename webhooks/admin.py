"""The ledger in the admin, to look at: machines own its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from webhooks.models import WebhookEvent

if TYPE_CHECKING:
    from django.http import HttpRequest

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
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: events come from Clerk alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: WebhookEvent | None = None) -> bool:
        """Refuse: the ledger says what was, not what should have been."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WebhookEvent | None = None) -> bool:
        """Refuse: without its row an event would have a second effect. `prune_history` waits long enough."""
        return False
