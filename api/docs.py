"""The description of the API, for machines and for people: open in debug, else to an admin session."""

from __future__ import annotations

from typing import NoReturn

from django.contrib.auth.decorators import user_passes_test
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
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
    authentication_classes = ()
    permission_classes = ()


# A person is sent to the admin's login, and back.
docs = user_passes_test(may_read_docs, login_url="admin:login")(DocsView.as_view())
