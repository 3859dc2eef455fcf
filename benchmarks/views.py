"""The view that all contenders answer: as little as a view can do, so that authentication is what differs."""

from __future__ import annotations

from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import AuthenticatedRequest


class WhoAmI(APIView):
    """Say who is asking."""

    permission_classes = (IsAuthenticated,)

    def get(self, request: AuthenticatedRequest) -> Response:
        """Return the Clerk id of the row."""
        return Response({"clerk_id": request.user.clerk_id})
