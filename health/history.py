"""Links from a Clerk identity in the admin to its webhook events and failures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.identities import IdentityAdmin
from health.models import SyncFailure
from webhooks.models import WebhookEvent

# Each link on the page, and the rows that it leads to.
LINKS: dict[str, type[Model]] = {"events": WebhookEvent, "failures": SyncFailure}


class HistoryAdmin(IdentityAdmin):
    """Add the number of open failures, and links to webhook events and failures."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Add the number of open failures."""
        return (*super().get_list_display(request), "open_failures")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the links."""
        return (*super().get_readonly_fields(request, obj), *LINKS)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Close the resolved failures, which are not counted, and return the list."""
        SyncFailure.objects.close_resolved(now=timezone.now())
        return super().changelist_view(request, extra_context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Annotate each user with the number of open failures, in the same statement."""
        open_failures = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id")).order_by()
        counted = open_failures.values("clerk_id").annotate(rows=Count("pk")).values("rows")
        users: QuerySet[Any] = super().get_queryset(request)
        annotated: QuerySet[Any] = users.annotate(open_failure_count=Coalesce(Subquery(counted), 0))
        return annotated

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the links that the viewer may follow, for a user that comes from Clerk."""
        first, *others = super().get_fieldsets(request, obj)
        if obj is None or obj.clerk_id is None:
            return (first, *others)
        fields = [name for name, model in LINKS.items() if _may_view(request, model)]
        history = [("History", {"fields": fields})] if fields else []
        return (first, *history, *others)

    @admin.display(description="Failures")
    def open_failures(self, user: Any) -> SafeString | str:
        """Show the number of open failures as a link to them."""
        count = getattr(user, "open_failure_count", 0)
        return _link(SyncFailure, user, text=str(count)) if count else "-"

    @admin.display(description="Webhook events")
    def events(self, user: Any) -> SafeString:
        """Link to the webhook events of this user."""
        return _link(WebhookEvent, user, text="Show the events of this user")

    @admin.display(description="Failures")
    def failures(self, user: Any) -> SafeString:
        """Link to the failures of this user, resolved ones included."""
        return _link(SyncFailure, user, text="Show the failures of this user", state="all")


def get_events_url(request: HttpRequest) -> str:
    """Return the address of the webhook events, or "" without the permission to view them."""
    return reverse(_list_name(WebhookEvent)) if _may_view(request, WebhookEvent) else ""


def _may_view(request: HttpRequest, model: type[Model]) -> bool:
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def _link(model: type[Model], user: Any, *, text: str, **filters: str) -> SafeString:
    address = reverse(_list_name(model), query={"q": user.clerk_id, **filters})
    return format_html('<a href="{}">{}</a>', address, text)


def _list_name(model: type[Model]) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
