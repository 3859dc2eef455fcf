"""The runs of the bulk commands in the admin."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.read_only import ReadOnlyAdmin
from accounts.models import SyncRun


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    """The progress of the bulk commands, newest first."""

    list_display = ("started_at", "kind", "status", "finished_at", "counts", "error")
    list_filter = ("kind", "status")
    ordering = ("-started_at",)
