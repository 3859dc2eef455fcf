"""The addresses of the projects."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from tests.foreign.shop.views import orders, whoami

urlpatterns = [
    path("shop/whoami", whoami),
    path("shop/orders", orders),
    path("admin/", admin.site.urls),
    path("", include("webhooks.urls")),
    path("", include("health.urls")),
]
