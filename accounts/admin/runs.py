"""The runs of the bulk commands in the admin, to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import SyncRun

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[SyncRun]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(SyncRun)
class SyncRunAdmin(ModelAdmin):
    """How far the bulk commands came, newest first."""

    list_display = ("started_at", "kind", "status", "finished_at", "counts", "error")
    list_filter = ("kind", "status")
    ordering = ("-started_at",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: commands write these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SyncRun | None = None) -> bool:
        """Refuse: a run is what it was."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SyncRun | None = None) -> bool:
        """Refuse: `prune_history` removes what is old."""
        return False
