"""The URLs of the project; each package has its own module of URLs."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path

from api.errors import not_found

handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("api.urls")),
    path("", include("webhooks.urls")),
    path("", include("health.urls")),
    # A route, because in debug Django shows its own page instead of `handler404`.
    re_path(r"^(api|webhooks)/", not_found),
]

if settings.ADMIN_ENABLED:
    urlpatterns.insert(0, path("admin/", admin.site.urls))
