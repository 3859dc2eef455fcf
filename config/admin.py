"""The page of a person: facts of several rooms in one place. `config.urls` imports it, to register it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin import PeopleAdmin
from accounts.models import User
from health.models import SyncFailure
from webhooks.models import WebhookEvent

SHOWN = 10
DASHBOARD = "https://dashboard.clerk.com/last-active?path=users/{}"


@admin.register(User)
class PersonAdmin(PeopleAdmin):
    """People with their open failures, their webhook events, and the way to Clerk's dashboard."""

    list_display = (*PeopleAdmin.list_display, "open_failures")
    readonly_fields: ClassVar[tuple[str, ...]] = (
        *PeopleAdmin.readonly_fields,
        "in_clerk",
        "events",
        "failures",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Count each person's open failures along, for the rows of the page alone."""
        open_ones = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id")).order_by()
        counted = open_ones.values("clerk_id").annotate(rows=Count("pk")).values("rows")
        people: QuerySet[User] = super().get_queryset(request)
        return people.annotate(failing=Coalesce(Subquery(counted), 0))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Add what webhooks and health know of a person who comes from Clerk."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or obj.clerk_id is None:
            return fieldsets
        return (*fieldsets, ("History", {"fields": ("in_clerk", "events", "failures")}))

    @admin.display(description="Open failures")
    def open_failures(self, user: User) -> int | str:
        """Show how many failures are open."""
        return getattr(user, "failing", 0) or "-"

    @admin.display(description="In Clerk")
    def in_clerk(self, user: User) -> SafeString:
        """Lead to the person in Clerk's dashboard."""
        address = DASHBOARD.format(user.clerk_id)
        return format_html('<a href="{}" rel="noreferrer">Open in Clerk\'s dashboard</a>', address)

    @admin.display(description="Webhook events")
    def events(self, user: User) -> SafeString:
        """List the last events."""
        found = WebhookEvent.objects.filter(clerk_id=user.clerk_id).order_by("-received_at")[:SHOWN]
        lines = ((f"{each.received_at:%Y-%m-%d %H:%M:%S}", each.type, each.outcome) for each in found)
        return _list(lines, more=_address("webhooks_webhookevent", user))

    @admin.display(description="Failures")
    def failures(self, user: User) -> SafeString:
        """List the last failures."""
        found = SyncFailure.objects.filter(clerk_id=user.clerk_id).order_by("-last_at")[:SHOWN]
        lines = (
            (
                f"{each.last_at:%Y-%m-%d %H:%M:%S}",
                f"{each.source}, {each.reason}",
                "open" if each.closed_at is None else "closed",
            )
            for each in found
        )
        return _list(lines, more=_address("health_syncfailure", user) + "&state=all")


def _address(model: str, user: User) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?q={user.clerk_id}"


def _list(lines: Any, *, more: str) -> SafeString:
    items = format_html_join("", "<li>{} {}: {}</li>", lines)
    return format_html(
        '<ul style="margin:0">{}</ul><a href="{}">All of them</a>', items or "none yet. ", more
    )
