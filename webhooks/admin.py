"""The webhook events in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.contrib import admin
from django.db.models import Q

from accounts.admin.read_only import SyncAgainAdmin
from accounts.admin.search import StateFilter
from webhooks.handlers import EFFECTS
from webhooks.models import HANDLER_FAILED, WebhookEvent
from webhooks.registry import registry


class TypeFilter(StateFilter):
    """A filter by the handled types. Django's own would read the whole table to list all types."""

    title = parameter_name = "type"

    def get_states(self) -> Mapping[str, tuple[str, Q]]:
        """Return the types with an effect, then those with a handler of this project."""
        handled = list(dict.fromkeys((*EFFECTS, *registry.get_types())))
        return {
            "all": ("all", Q()),
            **{event_type: (event_type, Q(type=event_type)) for event_type in handled},
            "other": ("any other", ~Q(type__in=handled)),
        }


class HandlerFilter(StateFilter):
    """A filter for events that a handler failed on and has not handled since."""

    title = parameter_name = "handler"
    states: ClassVar[dict[str, tuple[str, Q]]] = {"all": ("all", Q()), "failed": ("failed", HANDLER_FAILED)}


@admin.register(WebhookEvent)
class WebhookEventAdmin(SyncAgainAdmin):
    """Webhook events with their outcomes, newest first.

    A deleted row could not stop a second delivery: Svix may repeat an event for a day.
    """

    list_display = (
        *("received_at", "type", "outcome", "clerk_id", "error_code", "failed_handler"),
        *("attempts", "occurred_at", "handled_at"),
    )
    list_filter = ("outcome", TypeFilter, HandlerFilter, "received_at")
    sortable_by = ("received_at",)
    search_fields = ("svix_id__exact", "clerk_id__exact")
    search_help_text = "The exact svix-id or Clerk id."
    ordering = ("-received_at",)
    no_user_message = "None of these events concerns a user."
