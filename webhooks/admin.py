"""The webhook events in the admin."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import Q

from accounts.admin.read_only import SyncAgainAdmin
from accounts.admin.search import StateFilter
from webhooks.handlers import EFFECTS
from webhooks.models import WebhookEvent


class TypeFilter(StateFilter):
    """A filter by the handled types. Django's own would read the whole table to list all types."""

    title = parameter_name = "type"
    states: ClassVar[dict[str, tuple[str, Q]]] = {
        "all": ("all", Q()),
        **{handled: (handled, Q(type=handled)) for handled in EFFECTS},
        "other": ("any other", ~Q(type__in=EFFECTS)),
    }


@admin.register(WebhookEvent)
class WebhookEventAdmin(SyncAgainAdmin):
    """Webhook events with their outcomes, newest first.

    A deleted row could not stop a second delivery: Svix may repeat an event for a day.
    """

    list_display = ("received_at", "type", "outcome", "clerk_id", "error_code", "attempts", "occurred_at")
    list_filter = ("outcome", TypeFilter, "received_at")
    sortable_by = ("received_at",)
    search_fields = ("svix_id__exact", "clerk_id__exact")
    search_help_text = "The exact svix-id or Clerk id."
    ordering = ("-received_at",)
    no_user_message = "None of these events concerns a user."
