"""URLs of the baseline site: the admin, one DRF view, its schema."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Greeting(APIView):
    """A constant response."""

    def get(self, request: Request) -> Response:
        """Return a constant."""
        return Response({"hello": "world"})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/greeting", Greeting.as_view()),
    path("api/schema", SpectacularAPIView.as_view()),
]
