"""The URLs below /api/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from api.docs import DocsView, SchemaView
from api.views import SelfViewSet, UserViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("", SelfViewSet, basename="self")
router.register("users", UserViewSet, basename="user")

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
]
