"""URLs of the monitoring endpoints; `health.middleware.ProbeMiddleware` answers most requests for them."""

from __future__ import annotations

from django.urls import path

from health.views import live, metrics, ready, sync

urlpatterns = [
    path("health/live", live),
    path("health/ready", ready),
    path("health/sync", sync),
    path("metrics", metrics),
]
