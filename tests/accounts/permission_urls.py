"""Views that require what a session token grants, as an application would write them."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from accounts.permissions import (
    HasFeature,
    HasOrganization,
    HasOrganizationPermission,
    HasOrganizationRole,
    HasPlan,
    RecentlyVerified,
)
from config import urls

PERMISSIONS: dict[str, Any] = {
    "organization": HasOrganization,
    "role": HasOrganizationRole("admin"),
    "permission": HasOrganizationPermission("org:reports:read"),
    "feature": HasFeature("beta"),
    "plan": HasPlan("o:pro"),
    "recent": RecentlyVerified("strict"),
    "recent-own": RecentlyVerified(("first_factor", 30)),
    "and": HasOrganizationRole("admin") & RecentlyVerified("strict"),
    "or": HasOrganizationRole("admin") | RecentlyVerified("strict"),
    "or-other-way": (RecentlyVerified("strict") | HasOrganizationRole("admin")) & IsAuthenticated,
    "not": IsAuthenticated & ~HasOrganization,
    "not-recent": IsAuthenticated & ~RecentlyVerified("strict"),
}


class Guarded(APIView):
    """A view that checks the permission of the path, for the view and for an object."""

    def get_permissions(self) -> list[Any]:
        return [PERMISSIONS[self.kwargs["name"]]()]

    def get(self, request: Request, name: str) -> Response:
        self.check_object_permissions(request, object())
        return Response({"passed": name})


class GuardedObject(Guarded):
    """A view that checks the permission for an object only."""

    def check_permissions(self, request: Request) -> None:
        """Check nothing."""


class PlainHandler(Guarded):
    """A view with the exception handler of REST framework."""

    def get_exception_handler(self) -> Any:
        return exception_handler


class ForeignHandler(Guarded):
    """A view with the exception handler of drf-standardized-errors, without the changes of this project."""

    def get_exception_handler(self) -> Any:
        def handle(error: APIException, context: Any) -> Any:
            return ExceptionHandler(error, context).run()

        return handle


class AdminSession(Guarded):
    """A view for the cookie of the admin beside the token of Clerk."""

    authentication_classes = (SessionAuthentication,)


handler400, handler403, handler404, handler500 = (
    urls.handler400,
    urls.handler403,
    urls.handler404,
    urls.handler500,
)
urlpatterns = [
    path("api/guarded/<str:name>", Guarded.as_view()),
    path("api/object/<str:name>", GuardedObject.as_view()),
    path("api/plain/<str:name>", PlainHandler.as_view()),
    path("api/foreign/<str:name>", ForeignHandler.as_view()),
    path("api/cookie/<str:name>", AdminSession.as_view()),
    path("", include("config.urls")),
]
