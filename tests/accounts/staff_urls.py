"""Views of a foreign project that require staff or permissions, beside the URLs of this project."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.urls import include, path
from rest_framework.permissions import DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from accounts.authentication import AuthenticatedRequest, ClerkAuthentication
from config import urls


class AdminOnly(APIView):
    """A view for staff, as REST framework defines it."""

    permission_classes = (IsAdminUser,)

    def get(self, request: Request) -> Response:
        return Response({"is_staff": True})


class GroupSerializer(ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ("id", "name")


class GroupViewSet(ModelViewSet[Group]):
    """A viewset whose methods require model permissions."""

    permission_classes = (DjangoModelPermissions,)
    queryset = Group.objects.all()
    serializer_class = GroupSerializer


class CustomAuthentication(ClerkAuthentication):
    """A subclass in a foreign project."""


class Inherited(APIView):
    authentication_classes = (CustomAuthentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: AuthenticatedRequest) -> Response:
        return Response({"clerk_id": request.user.clerk_id})


handler400, handler403, handler404, handler500 = (
    urls.handler400,
    urls.handler403,
    urls.handler404,
    urls.handler500,
)
urlpatterns = [
    path("api/admin-only", AdminOnly.as_view()),
    path("api/groups/<int:pk>", GroupViewSet.as_view({"delete": "destroy"})),
    path("api/inherited", Inherited.as_view()),
    path("", include("config.urls")),
]
