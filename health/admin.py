"""For people: today at a glance, and the failures with a way to mend them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from accounts.admin.actions import sync_users_again
from accounts.admin.search import CappedPaginator
from health.models import SyncFailure, SyncFailureQuerySet
from health.report.build import build_report

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[SyncFailure]
else:
    ModelAdmin = admin.ModelAdmin

# A page, not an export; each has a button that asks Clerk.
SHOWN = 50


class StateFilter(admin.SimpleListFilter):
    """Open ones first: that is what somebody comes for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer closed and all; open is what stands here without a choice."""
        return [("closed", "closed"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        """Name the choice that is made when none is."""
        choices = list(super().choices(changelist))
        choices[0]["display"] = "open"
        return choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the rows of the chosen state."""
        if self.value() == "all":
            return queryset
        return (
            queryset.exclude(closed_at=None) if self.value() == "closed" else queryset.filter(closed_at=None)
        )


@admin.register(SyncFailure)
class SyncFailureAdmin(ModelAdmin):
    """Failures as machines wrote them, and `sync again` for those of a person."""

    list_display = ("last_at", "clerk_id", "source", "reason", "count", "first_at", "closed_at")
    list_filter = (StateFilter, "source", "reason")
    search_fields = ("clerk_id__exact",)
    search_help_text = "The exact Clerk id."
    ordering = ("-last_at",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ("sync_again",)
    change_list_template = "admin/health/failures.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the day and the way to mend from it."""
        guard = self.admin_site.admin_view
        return [
            path("today/", guard(self.today), name="health_today"),
            path("<int:pk>/sync-again/", guard(self.sync_person_again), name="health_sync_again"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show as open what is open now."""
        SyncFailure.objects.close_resolved(now=timezone.now())
        return super().changelist_view(request, extra_context)

    def today(self, request: HttpRequest) -> HttpResponse:
        """Show the report in words, links to the webhook events and the open failures."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        report = build_report(now=now)
        context = self.admin_site.each_context(request) | {
            "title": "Sync health today",
            "opts": self.model._meta,
            "report": report,
            "failures": []
            if report.is_database_unavailable
            else SyncFailure.objects.open().order_by("-last_at")[:SHOWN],
            "can_sync": self.has_sync_permission(request),
        }
        return TemplateResponse(request, "admin/health/today.html", context)

    def _open_failures(self) -> SyncFailureQuerySet:
        return SyncFailure.objects.open().order_by("-last_at")[:SHOWN]

    def sync_person_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Fetch the person of this failure from Clerk, and return to the page of the day."""
        if request.method != "POST" or not self.has_sync_permission(request):
            raise PermissionDenied
        self.sync_again(request, SyncFailure.objects.filter(pk=pk))
        return HttpResponseRedirect(reverse("admin:health_today"))

    @admin.action(description="Sync again from Clerk", permissions=["sync"])
    def sync_again(self, request: HttpRequest, queryset: SyncFailureQuerySet) -> None:
        """Fetch each person of the chosen failures from Clerk, once, and say what came of it."""
        sync_users_again(
            self, request, queryset, nobody="An outage has no person to fetch; it closes by itself."
        )

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Let those fetch a person who may change one."""
        return request.user.has_perm("accounts.change_user")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: machines write these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SyncFailure | None = None) -> bool:
        """Refuse: a failure closes when it is mended."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SyncFailure | None = None) -> bool:
        """Refuse: `prune_history` removes what is closed and old."""
        return False
