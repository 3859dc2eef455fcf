"""The endpoints. `request.user` is the local row: no view looks a person up by hand."""

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

# OPTIONS would only tell about the implementation; the description of the API is at /api/schema.
READ_ONLY = ["get", "head"]


class SelfViewSet(ViewSet):
    """Whoever is asking."""

    http_method_names = READ_ONLY

    @extend_schema(summary="The signed-in user", responses=UserSerializer)
    @action(detail=False)
    def me(self, request: AuthenticatedRequest) -> Response:
        """Return the local user, made on the first request and kept in step with Clerk."""
        return Response(UserSerializer(request.user).data)

    @extend_schema(summary="The verified session", responses=SessionSerializer)
    @action(detail=False)
    def session(self, request: AuthenticatedRequest) -> Response:
        """Return what the token of this request says about the session."""
        return Response(SessionSerializer(request.auth).data)


@extend_schema_view(
    list=extend_schema(
        summary="All live users, local staff included",
        description="For staff. `search` looks in the e-mail, the names and the Clerk id.",
    ),
    retrieve=extend_schema(
        summary="One live user",
        description="For staff.",
        parameters=[OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)],
    ),
)
class UserViewSet(ReadOnlyModelViewSet[User]):
    """The people, for staff."""

    http_method_names = READ_ONLY
    permission_classes = (IsStaff,)
    serializer_class = UserSerializer
    # The id settles equal times: without it a row could stand on two pages or on none.
    queryset = User.objects.live().order_by("created_at", "id")
    lookup_field = "id"
    filter_backends = (SearchFilter,)
    search_fields = ("email", "first_name", "last_name", "clerk_id")
