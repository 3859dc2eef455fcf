"""Notes, each of one user."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class Note(models.Model):
    """A line of text that its owner alone sees."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notes")
    title = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Note]] = models.Manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return self.title
