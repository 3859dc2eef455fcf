"""The URLs of the project, after those of the notes: its last URL answers all others below /api/ with 404."""

from __future__ import annotations

from django.urls import include, path

from config.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", include("backend.notes.urls")),
    path("", include("config.urls")),
]
