"""One envelope for every error: `{"type", "errors": [{"code", "detail", "attr"}]}`.

raised                               status  code                    header
NotAuthenticated                     401     not_authenticated       WWW-Authenticate: Bearer
AuthenticationFailed                 401     its own                 the same, with error="invalid_token"
ServiceUnavailable                   503     keys_, sync_unavailable Retry-After
OperationalError, InterfaceError     503     sync_unavailable        Retry-After
SuspiciousOperation                  400     parse_error
ReverificationRequired               403     its own, beside the key `clerk_error`
any other APIException               its own
anything else                        500     error
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.log import log_response
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_standardized_errors import handler
from drf_standardized_errors.types import CLIENT_ERROR, SERVER_ERROR, Error, ErrorResponse, ErrorType
from rest_framework.exceptions import APIException, AuthenticationFailed, ParseError, PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.authentication import ServiceUnavailable
from accounts.permissions import ReverificationRequired

logger = logging.getLogger(__name__)


class ExceptionHandler(handler.ExceptionHandler):
    """Convert any exception of a view into the envelope, with the headers of the table above."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Convert a database outage to 503 and a suspicious request to 400; any other bug stays 500."""
        if isinstance(exc, OperationalError | InterfaceError):
            return ServiceUnavailable(code="sync_unavailable")
        if isinstance(exc, SuspiciousOperation):
            return ParseError()
        return super().convert_known_exceptions(exc)

    def format_exception(self, exc: APIException) -> dict[str, object]:
        """Return the body; Clerk's frontend hook looks for `clerk_error` beside the errors."""
        if not isinstance(exc, ReverificationRequired):
            return dict(super().format_exception(exc))
        plain = PermissionDenied(exc.default_detail, exc.default_code)
        return {**super().format_exception(plain), "clerk_error": exc.hint}

    def get_headers(self, exc: APIException) -> dict[str, str]:
        """Return the headers, with the error code of RFC 6750 and the seconds to wait."""
        headers: dict[str, str] = super().get_headers(exc)
        if isinstance(exc, AuthenticationFailed) and "WWW-Authenticate" in headers:
            headers["WWW-Authenticate"] += ' error="invalid_token"'
        retry_after = getattr(exc, "retry_after", None)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return headers

    def get_response(self, exc: APIException, data: dict[str, object]) -> Response:
        """Return the response in JSON, even if the view renders YAML or HTML."""
        request = self.context["request"]
        if request is not None:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().get_response(exc, data)

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Log an outage as a warning; leave a bug to Django's log and to error trackers."""
        if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            super().report_exception(exc, response)
            return
        log_response(
            "Service unavailable: %s",
            exc.get_codes(),
            response=response,
            logger=logger,
            level="warning",
            exception=None if exc is self.exc else self.exc,
        )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Handle what Django refuses before the view, such as an unknown Host."""
    if not _uses_envelope(request):
        return defaults.bad_request(request, exception)
    return _envelope(
        HTTPStatus.BAD_REQUEST, code="parse_error", detail="The request cannot be accepted as it is."
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Handle what a middleware refuses."""
    if not _uses_envelope(request):
        return defaults.permission_denied(request, exception)
    return _envelope(HTTPStatus.FORBIDDEN, code="permission_denied", detail="This request is not allowed.")


def https_required(request: HttpRequest) -> HttpResponse:
    """Refuse credentials that were sent over plain http, at any address."""
    detail = "Credentials must not be sent over plain http: use https."
    return _envelope(HTTPStatus.FORBIDDEN, code="https_required", detail=detail)


@csrf_exempt  # otherwise a POST to an unknown path is a CSRF failure
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Handle a path without a view, for any method."""
    if not _uses_envelope(request):
        return defaults.page_not_found(request, exception or Http404())
    return _envelope(HTTPStatus.NOT_FOUND, code="not_found", detail="There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Handle an unexpected exception outside the views of the API."""
    if not _uses_envelope(request):
        return defaults.server_error(request)
    return _envelope(HTTPStatus.INTERNAL_SERVER_ERROR, code="error", detail="Server Error (500)")


def _uses_envelope(request: HttpRequest) -> bool:
    return request.path_info.startswith(("/api/", "/webhooks/"))


def _envelope(status: HTTPStatus, *, code: str, detail: str) -> HttpResponse:
    kind: ErrorType = SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else CLIENT_ERROR
    error = ErrorResponse(type=kind, errors=[Error(code=code, detail=detail, attr=None)])
    return JsonResponse(asdict(error), status=status)
