"""The ledger in the admin, to look at, and to mend from: machines own its rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest

from accounts.admin.actions import sync_users_again
from accounts.admin.search import CappedPaginator
from webhooks.models import WebhookEvent, WebhookEventQuerySet

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[WebhookEvent]
else:
    ModelAdmin = admin.ModelAdmin

KINDS = ("user.created", "user.updated", "user.deleted")
# Longer than a month, shorter than two, and so on: from a start, one of them leads into the next span.
STEPS = {"year": timedelta(days=370), "month": timedelta(days=32), "day": timedelta(days=1, hours=2)}


class TypeFilter(admin.SimpleListFilter):
    """The types that have an effect here; to ask the ledger for all of its types is a walk through it."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the types by their names, and all that are ignored as one."""
        return [*zip(KINDS, KINDS, strict=True), ("other", "any other")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> QuerySet[WebhookEvent]:
        """Keep the events of the chosen type; what was not offered chooses nothing."""
        chosen = self.value()
        if chosen == "other":
            return queryset.exclude(type__in=KINDS)
        return queryset.filter(type=chosen) if chosen in KINDS else queryset


class LedgerQuerySet(WebhookEventQuerySet):
    """The ledger as the links to its years, months and days need it."""

    def datetimes(self, field_name: str, kind: str, *_: Any, **__: Any) -> Any:
        """Give every span from the first event to the last; which of them are empty costs a walk to know."""
        ends = self.aggregate(first=Min(field_name), last=Max(field_name))
        spans, at = [], _start(ends["first"], kind)
        while at is not None and at <= ends["last"]:
            spans.append(at)
            at = _start(at + STEPS[kind], kind)
        return spans


def _start(at: datetime | None, kind: str) -> datetime | None:
    if at is None:
        return None
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return start if kind == "day" else start.replace(day=1, month=1 if kind == "year" else start.month)


@admin.register(WebhookEvent)
class WebhookEventAdmin(ModelAdmin):
    """What came and what became of it, newest first. Found by the exact Svix or Clerk id."""

    list_display = ("received_at", "type", "outcome", "clerk_id", "error_code", "attempts", "occurred_at")
    list_filter = ("outcome", TypeFilter, "received_at")
    sortable_by = ("received_at",)
    search_fields = ("svix_id__exact", "clerk_id__exact")
    search_help_text = "The exact svix-id or Clerk id."
    ordering = ("-received_at",)
    date_hierarchy = "received_at"
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("sync_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """Give the ledger, with cheap links to its dates."""
        return LedgerQuerySet(self.model)

    @admin.action(description="Sync these people again from Clerk", permissions=["sync"])
    def sync_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Mend what failed: fetch each person of the chosen events from Clerk, once."""
        sync_users_again(self, request, queryset, nobody="None of these events is about a person.")

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
        """Refuse: Svix may send an event again for a day, and its row makes it known. See `prune_history`."""
        return False
