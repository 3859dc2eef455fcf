"""URLs of the sites whose memory is compared: a view that executes one statement, and what is installed."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.db import connection
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks import baseline_urls


class CurrentUser(APIView):
    """The name of the user; without this project, of the user of the database."""

    def get(self, request: Request) -> Response:
        """Return the name."""
        if apps.is_installed("accounts"):
            return Response({"user": request.user.get_username()})
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            return Response({"user": cursor.fetchone()[0]})


if apps.is_installed("accounts"):
    CurrentUser.authentication_classes = [import_module("accounts.authentication").ClerkAuthentication]

urlpatterns = [
    *baseline_urls.urlpatterns,
    path("me", CurrentUser.as_view()),
    *(path("", include(f"{name}.urls")) for name in ("webhooks", "health") if apps.is_installed(name)),
]
