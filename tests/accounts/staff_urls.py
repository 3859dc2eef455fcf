"""Views of a project beside ours, for those who are staff or have permissions."""

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
    """Django REST framework's own idea of staff."""

    permission_classes = (IsAdminUser,)

    def get(self, request: Request) -> Response:
        return Response({"is_staff": True})


class GroupSerializer(ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ("id", "name")


class GroupViewSet(ModelViewSet[Group]):
    """Rows that a permission may delete."""

    permission_classes = (DjangoModelPermissions,)
    queryset = Group.objects.all()
    serializer_class = GroupSerializer


class OurAuthentication(ClerkAuthentication):
    """A project's own class."""


class Inherited(APIView):
    authentication_classes = (OurAuthentication,)
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
