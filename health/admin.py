"""The sync failures in the admin, the page "Sync health today", and the Clerk accounts with links to both."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from accounts.admin.accounts import ClerkAccountAdminBase
from accounts.admin.read_only import SyncAgainAdmin
from accounts.admin.search import StateFilter
from accounts.models import ClerkAccount, is_user_model
from health.history import HistoryAdmin, get_events_url
from health.models import SyncFailure
from health.report.build import build_report

SHOWN_FAILURES_MAX = 50


class FailureStateFilter(StateFilter):
    """Show open failures by default."""

    states: ClassVar[dict[str, tuple[str, Q]]] = {
        "open": ("open", Q(closed_at=None)),
        "closed": ("closed", Q(closed_at__isnull=False)),
        "all": ("all", Q()),
    }


@admin.register(SyncFailure)
class SyncFailureAdmin(SyncAgainAdmin):
    """Failures as they were recorded, the latest first. A failure closes when its cause is resolved."""

    list_display = ("last_at", "clerk_id", "source", "reason", "count", "first_at", "closed_at")
    list_filter = (FailureStateFilter, "source", "reason")
    search_fields = ("clerk_id__exact",)
    search_help_text = "The exact Clerk id."
    ordering = ("-last_at",)
    change_list_template = "clerk_sync/failures.html"
    no_user_message = "An outage concerns no single user; it closes by itself."

    def get_urls(self) -> list[URLPattern]:
        """Return Django's addresses, the page of today and the address of its buttons."""
        guard = self.admin_site.admin_view
        return [
            path("today/", guard(self.today), name="clerk_sync_today"),
            path("<int:pk>/sync-again/", guard(self.sync_user_again), name="clerk_sync_again"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Close the resolved failures and return the list."""
        SyncFailure.objects.close_resolved(now=timezone.now())
        return super().changelist_view(request, extra_context)

    def today(self, request: HttpRequest) -> HttpResponse:
        """Return the page with the report, links to the webhook events and the open failures.

        Raises PermissionDenied without the permission to view failures.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        report = build_report(now=timezone.now())
        failures = SyncFailure.objects.open().order_by("-last_at")[:SHOWN_FAILURES_MAX]
        context = self.admin_site.each_context(request) | {
            "title": "Sync health today",
            "opts": self.model._meta,
            "report": report,
            "events_url": get_events_url(request),
            "failures": [] if report.is_database_unavailable else failures,
            "can_sync": self.has_sync_permission(request),
        }
        return TemplateResponse(request, "clerk_sync/today.html", context)

    def sync_user_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Fetch the user of this failure from Clerk and redirect to the page of today.

        Raises PermissionDenied unless this is a POST of an operator who may change users.
        """
        if request.method != "POST" or not self.has_sync_permission(request):
            raise PermissionDenied
        self.sync_again(request, SyncFailure.objects.filter(pk=pk))
        return HttpResponseRedirect(reverse("admin:clerk_sync_today"))


class ClerkAccountAdmin(HistoryAdmin, ClerkAccountAdminBase):
    """Clerk accounts with the number of their open failures, and links to their events and failures."""


if not is_user_model():
    admin.site.register(ClerkAccount, ClerkAccountAdmin)
