"""The runs of the bulk commands."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet


class SyncRun(WriteDatabaseModel):
    """One run of a bulk command: its state, its cursor in Clerk's list of users and its counts."""

    class Kind(models.TextChoices):
        BACKFILL = "backfill"
        RECONCILE = "reconcile"

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    kind = models.CharField(max_length=16, choices=Kind)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    cursor = models.CharField(max_length=64, blank=True, default="")
    counts = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=255, blank=True, default="")

    objects = WriteDatabaseQuerySet["SyncRun"].as_manager()

    class Meta:
        indexes = (models.Index(fields=["kind", "-started_at"], name="runs_by_kind_and_start"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M} {self.status}"
