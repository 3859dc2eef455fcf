"""The endpoints. `request.user` is the row in this database: no view loads the user itself."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet, ViewSet

from accounts.authentication import AuthenticatedRequest
from accounts.models import User
from api.permissions import IsStaff
from api.search import SearchFilter
from api.serializers import SessionSerializer, UserSerializer

# OPTIONS would only describe the implementation; /api/schema describes the API.
READ_ONLY = ["get", "head"]


class SelfViewSet(ViewSet):
    """The user and the session of the request."""

    http_method_names = READ_ONLY

    @extend_schema(summary="The signed-in user", responses=UserSerializer)
    @action(detail=False)
    def me(self, request: AuthenticatedRequest) -> Response:
        """Return the user, who is created at the first request and synced with Clerk."""
        return Response(UserSerializer(request.user).data)

    @extend_schema(summary="The verified session", responses=SessionSerializer)
    @action(detail=False)
    def session(self, request: AuthenticatedRequest) -> Response:
        """Return the session claims of the token."""
        return Response(SessionSerializer(request.auth).data)


@extend_schema_view(
    list=extend_schema(
        summary="All live users, local staff included",
        description="For staff. `search` matches the e-mail address, the names and the Clerk id.",
    ),
    retrieve=extend_schema(
        summary="One live user",
        description="For staff.",
        parameters=[OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)],
    ),
)
class UserViewSet(ReadOnlyModelViewSet[User]):
    """The live users, for staff."""

    http_method_names = READ_ONLY
    permission_classes = (IsStaff,)
    serializer_class = UserSerializer
    # The id orders rows with equal times: without it a row could be on two pages or on none.
    queryset = User.objects.live().order_by("created_at", "id")
    lookup_field = "id"
    filter_backends = (SearchFilter,)
    search_fields = ("email", "first_name", "last_name", "clerk_id")
