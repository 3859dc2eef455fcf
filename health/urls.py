"""The addresses that monitoring asks. `health.middleware.ProbeMiddleware` answers machines before these."""

from __future__ import annotations

from django.urls import path

from health.views import live, metrics, ready, sync

urlpatterns = [
    path("health/live", live),
    path("health/ready", ready),
    path("health/sync", sync),
    path("metrics", metrics),
]
