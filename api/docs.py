"""The OpenAPI schema and Swagger UI: public in debug, otherwise for an admin session of staff."""

from __future__ import annotations

import threading
from typing import NoReturn

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from api.permissions import IsStaffOrDebug
from api.views import READ_ONLY

# drf-spectacular resolves its extensions at the first generation, in globals without a lock: parallel first
# requests failed with an AttributeError.
_generation = threading.Lock()


class SchemaView(SpectacularAPIView):
    """OpenAPI 3.0.3, as JSON unless the client accepts only YAML."""

    http_method_names = READ_ONLY
    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsStaffOrDebug,)
    renderer_classes = SpectacularAPIView.renderer_classes[::-1]

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Return the schema; one thread generates it at a time."""
        with _generation:
            response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response

    def permission_denied(
        self,
        request: Request,
        message: str | None = None,
        code: str | None = None,
    ) -> NoReturn:
        """Raise PermissionDenied (403), never 401: no `Authorization` header gives access."""
        raise PermissionDenied(message, code)


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI from local files; the script is separate from the page, as a strict CSP requires."""

    http_method_names = READ_ONLY
    authentication_classes = (SessionAuthentication,)
    permission_classes = ()
    template_name = "api/docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponseBase:
        """Return the page, or a redirect to the login of the admin; without the admin it is 403."""
        if not IsStaffOrDebug().has_permission(request, self):
            if not settings.ADMIN_ENABLED:
                raise PermissionDenied
            return redirect_to_login(request.get_full_path(), "admin:login")
        response: HttpResponseBase = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        return response
