"""Every address of the product. Each room owns its own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path

import config.admin  # noqa: F401 - no app of its own, so nothing else would find it
from api.errors import not_found

handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("api.urls")),
    path("", include("webhooks.urls")),
    path("", include("health.urls")),
    # Routed, not left to `handler404`: in debug Django would show a page of its own.
    re_path(r"^(api|webhooks)/", not_found),
]
