"""The page of a person: facts of several rooms in one place. `config.urls` imports it, to register it."""

from __future__ import annotations

from collections.abc import Iterable
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
# What the page shows of other rooms, and the permission to look at it there.
HISTORY = {"events": "webhooks.view_webhookevent", "failures": "health.view_syncfailure"}

# The API has no front page to lead to.
admin.site.site_url = None


@admin.register(User)
class PersonAdmin(PeopleAdmin):
    """People with their open failures and their webhook events."""

    list_display = (*PeopleAdmin.list_display, "open_failures")
    readonly_fields: ClassVar[tuple[str, ...]] = (*PeopleAdmin.readonly_fields, *HISTORY)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Count each person's open failures along, for the rows of the page alone."""
        open_ones = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id")).order_by()
        counted = open_ones.values("clerk_id").annotate(rows=Count("pk")).values("rows")
        people: QuerySet[User] = super().get_queryset(request)
        return people.annotate(failing=Coalesce(Subquery(counted), 0))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Add what webhooks and health know of a person who comes from Clerk."""
        first, *others = super().get_fieldsets(request, obj)
        if obj is None or obj.clerk_id is None:
            return (first, *others)
        fields = [name for name, permission in HISTORY.items() if request.user.has_perm(permission)]
        history = [("History", {"fields": fields})] if fields else []
        return (first, *history, *others)

    @admin.display(description="Failures")
    def open_failures(self, user: User) -> SafeString | str:
        """Show how many failures are open, and lead to them."""
        failing = getattr(user, "failing", 0)
        if not failing:
            return "-"
        return format_html('<a href="{}">{}</a>', _address("health_syncfailure", user), failing)

    @admin.display(description="Webhook events")
    def events(self, user: User) -> SafeString:
        """List the last events."""
        found = WebhookEvent.objects.filter(clerk_id=user.clerk_id).order_by("-received_at")[:SHOWN]
        rows = (
            (f"{each.received_at:%Y-%m-%d %H:%M:%S}", each.type, f"{each.outcome} {each.error_code}")
            for each in found
        )
        return _table(rows, more=_address("webhooks_webhookevent", user))

    @admin.display(description="Failures")
    def failures(self, user: User) -> SafeString:
        """List the last failures."""
        found = SyncFailure.objects.filter(clerk_id=user.clerk_id).order_by("-last_at")[:SHOWN]
        rows = (
            (
                f"{each.last_at:%Y-%m-%d %H:%M:%S}",
                f"{each.source}, {each.reason}, {each.count} times",
                "open" if each.closed_at is None else f"closed {each.closed_at:%Y-%m-%d %H:%M:%S}",
            )
            for each in found
        )
        return _table(rows, more=_address("health_syncfailure", user) + "&state=all")


def _address(model: str, user: User) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?q={user.clerk_id}"


def _table(rows: Iterable[tuple[str, str, str]], *, more: str) -> SafeString:
    lines = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
    if not lines:
        return format_html("{}", "none yet")
    return format_html('<table class="history">{}</table><a href="{}">All of them</a>', lines, more)
