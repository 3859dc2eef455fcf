"""The addresses that the proofs use; `api` is a package of the clone, whose users are the identities."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


@api_view(["GET"])
def me(request: Request) -> Response:
    """Return the key of the user."""
    return Response({"id": request.user.pk})


urlpatterns = [
    path("api/v1/me", me),
    path("", include("webhooks.urls")),
    path("", include("health.urls")),
]
