"""A view of the project."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


@extend_schema(responses=OpenApiTypes.OBJECT)
@api_view(["GET"])
def whoami(request: Request) -> Response:
    """Return the user as the project stores it."""
    return Response({"user": request.user.pk, "email": request.user.email})
