"""Two views of the project."""

from __future__ import annotations

from rest_framework.decorators import api_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response


@api_view(["GET"])
def whoami(request: Request) -> Response:
    """Return the key of the user, and whether it has a profile."""
    return Response({"user": request.user.pk, "has_profile": hasattr(request.user, "profile")})


@api_view(["POST"])
def orders(request: Request) -> Response:
    """Refuse every order."""
    raise ValidationError("The basket is empty.")
