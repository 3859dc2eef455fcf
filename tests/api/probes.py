"""URLs for the tests of the error envelope: those of the project, and views that raise."""

from __future__ import annotations

from typing import NoReturn

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from django.urls import include, path
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls

CANARY = "canary@example.test"
FAILURES: dict[str, Exception] = {
    "bug": RuntimeError(CANARY),
    "integrity": IntegrityError(f"Key (email)=({CANARY}) already exists."),
    "data": DataError(CANARY),
    "operational": OperationalError(CANARY),
    "interface": InterfaceError(CANARY),
    "suspicious": SuspiciousOperation(CANARY),
    "django404": Http404(CANARY),
    "django403": PermissionDenied(CANARY),
    "throttled": Throttled(wait=7),
    "invalid": ValidationError({"name": ["Too short."], "tags": ["Too many."]}),
}


class Raising(APIView):
    """A view that raises the exception that the path names."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, _request: Request, kind: str) -> NoReturn:
        raise FAILURES[kind]


class Echo(APIView):
    """A view that parses the body."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def post(self, request: Request) -> Response:
        return Response(request.data)


def plain(_request: HttpRequest) -> NoReturn:
    raise RuntimeError(CANARY)


handler400, handler403, handler404, handler500 = (
    urls.handler400,
    urls.handler403,
    urls.handler404,
    urls.handler500,
)
urlpatterns = [
    path("api/probe/raise/<str:kind>", Raising.as_view()),
    path("api/probe/echo", Echo.as_view()),
    path("api/probe/plain", plain),
    path("webhooks/probe", plain),
    path("elsewhere", plain),
    path("", include("config.urls")),
]
