"""One envelope for every error: `{"type", "errors": [{"code", "detail", "attr"}]}`.

raised                               status  code                    header
NotAuthenticated                     401     not_authenticated       WWW-Authenticate: Bearer
AuthenticationFailed                 401     the rule it broke       the same, with error="invalid_token"
ServiceUnavailable                   503     keys_, sync_unavailable Retry-After
OperationalError, InterfaceError     503     sync_unavailable        Retry-After
SuspiciousOperation                  400     parse_error
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
from rest_framework.exceptions import APIException, AuthenticationFailed, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.authentication import ServiceUnavailable

logger = logging.getLogger(__name__)


class ExceptionHandler(handler.ExceptionHandler):
    """Turn whatever a view raised into the envelope, with the headers of the table above."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """Tell our machinery (503) from a request that cannot be read (400) and from a bug (500)."""
        if isinstance(exc, OperationalError | InterfaceError):
            return ServiceUnavailable(code="sync_unavailable")
        if isinstance(exc, SuspiciousOperation):
            return ParseError()
        return super().convert_known_exceptions(exc)

    def get_headers(self, exc: APIException) -> dict[str, str]:
        """Add what RFC 6750 asks of a refused token, and how long to wait."""
        headers: dict[str, str] = super().get_headers(exc)
        if isinstance(exc, AuthenticationFailed) and "WWW-Authenticate" in headers:
            headers["WWW-Authenticate"] += ' error="invalid_token"'
        retry_after = getattr(exc, "retry_after", None)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return headers

    def get_response(self, exc: APIException, data: dict[str, object]) -> Response:
        """Answer in JSON, also where the view itself would speak YAML or HTML."""
        request = self.context["request"]
        if request is not None:
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().get_response(exc, data)

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Log an outage as a warning; leave a bug to Django's own log and to error trackers."""
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
    """Answer what Django refused before any view ran, such as a foreign Host."""
    if not speaks_json(request):
        return defaults.bad_request(request, exception)
    return _answer(
        HTTPStatus.BAD_REQUEST, code="parse_error", detail="The request cannot be accepted as it is."
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what a middleware refused."""
    if not speaks_json(request):
        return defaults.permission_denied(request, exception)
    return _answer(HTTPStatus.FORBIDDEN, code="permission_denied", detail="This request is not allowed.")


@csrf_exempt  # else a POST to an unknown address would be told about a cookie
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer an address that nobody owns, by any method."""
    if not speaks_json(request):
        return defaults.page_not_found(request, exception or Http404())
    return _answer(HTTPStatus.NOT_FOUND, code="not_found", detail="There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a bug outside the views of the API."""
    if not speaks_json(request):
        return defaults.server_error(request)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, code="error", detail="Server Error (500)")


def speaks_json(request: HttpRequest) -> bool:
    """Tell whether errors at this address come in the envelope."""
    return request.path_info.startswith(("/api/", "/webhooks/"))


def _answer(status: HTTPStatus, *, code: str, detail: str) -> HttpResponse:
    kind: ErrorType = SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else CLIENT_ERROR
    error = ErrorResponse(type=kind, errors=[Error(code=code, detail=detail, attr=None)])
    return JsonResponse(asdict(error), status=status)
