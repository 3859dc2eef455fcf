"""The webhook events in the admin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest

from accounts.admin.read_only import SyncAgainAdmin
from webhooks.models import WebhookEvent, WebhookEventQuerySet

HANDLED_TYPES = ("user.created", "user.updated", "user.deleted")
# From the first day of a span, each leads into the next span: longer than one, shorter than two.
STEPS = {"year": timedelta(days=370), "month": timedelta(days=32), "day": timedelta(days=1, hours=2)}


class TypeFilter(admin.SimpleListFilter):
    """A filter by the handled types. Django's own would read the whole table to list all types."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the handled types, and one choice for all ignored types."""
        return [*zip(HANDLED_TYPES, HANDLED_TYPES, strict=True), ("other", "any other")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> QuerySet[WebhookEvent]:
        """Return the events of the chosen type, or all for a value that is no choice."""
        chosen = self.value()
        if chosen == "other":
            return queryset.exclude(type__in=HANDLED_TYPES)
        return queryset.filter(type=chosen) if chosen in HANDLED_TYPES else queryset


class DateLinksQuerySet(WebhookEventQuerySet):
    """Webhook events with inexpensive links to their years, months and days."""

    def datetimes(self, field_name: str, kind: str, *_: Any, **__: Any) -> Any:
        """Return every span from the first event to the last; to omit the empty ones would need all rows."""
        ends = self.aggregate(first=Min(field_name), last=Max(field_name))
        spans, start = [], _start_of_span(ends["first"], kind)
        while start is not None and start <= ends["last"]:
            spans.append(start)
            start = _start_of_span(start + STEPS[kind], kind)
        return spans


def _start_of_span(at: datetime | None, kind: str) -> datetime | None:
    if at is None:
        return None
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return start if kind == "day" else start.replace(day=1, month=1 if kind == "year" else start.month)


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
    date_hierarchy = "received_at"
    no_user_message = "None of these events concerns a user."

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """Return the events with inexpensive links to their dates."""
        return DateLinksQuerySet(self.model)
