"""A view of the project."""

from __future__ import annotations

from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


@api_view(["GET"])
def whoami(request: Request) -> Response:
    """Return the user as the project stores it."""
    return Response({"user": request.user.pk, "email": request.user.email})
