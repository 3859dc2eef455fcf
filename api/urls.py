"""The addresses under /api/."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from api.docs import SchemaView, docs
from api.views import SelfViewSet, UserViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("", SelfViewSet, basename="self")
router.register("users", UserViewSet, basename="user")

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", docs, name="docs"),
]
