"""The view of all peers: it does as little as possible, so that only the authentication differs."""

from __future__ import annotations

from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import AuthenticatedRequest


class CurrentUser(APIView):
    """The Clerk id of the caller."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: AuthenticatedRequest) -> Response:
        """Return the Clerk id of the row."""
        return Response({"clerk_id": request.user.clerk_id})
