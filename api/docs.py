"""The description of the API, for machines and for people: open in debug, else to an admin session."""

from __future__ import annotations

from typing import NoReturn

from django.contrib.auth.views import redirect_to_login
from django.http.response import HttpResponseBase
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from api.permissions import IsStaffOrDebug, may_read_docs

READ_ONLY = ["get", "head"]


class SchemaView(SpectacularAPIView):
    """OpenAPI 3.0.3, as JSON unless YAML is asked for; 403 for whoever may not read it."""

    http_method_names = READ_ONLY
    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsStaffOrDebug,)
    renderer_classes = [  # noqa: RUF012 - its type
        OpenApiJsonRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer2,
        OpenApiYamlRenderer,
    ]

    def permission_denied(
        self,
        request: Request,
        message: str | None = None,
        code: str | None = None,
    ) -> NoReturn:
        """Refuse with 403, never 401: no credential that fits into a header opens this door."""
        raise PermissionDenied(message, code)


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from our own files, its script apart from the page so that a strict CSP may stand."""

    http_method_names = READ_ONLY
    authentication_classes = (SessionAuthentication,)
    permission_classes = ()

    def perform_authentication(self, request: Request) -> None:
        """Look at the session when it is asked for: in debug never."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponseBase:
        """Show the page, or send a person to the admin's login, and back."""
        if not may_read_docs(request):
            return redirect_to_login(request.get_full_path(), "admin:login")
        response: HttpResponseBase = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response
