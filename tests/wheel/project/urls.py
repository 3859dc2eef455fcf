"""The addresses of the project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from api.views import whoami

urlpatterns = [
    path("whoami", whoami),
    path("admin/", admin.site.urls),
    path("", include("clerk_sync.webhooks.urls")),
    path("", include("clerk_sync.health.urls")),
]
