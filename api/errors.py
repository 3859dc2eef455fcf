"""The error envelope where no view of REST framework answers.

`accounts.errors` builds it for the exceptions of views.
"""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_standardized_errors.types import CLIENT_ERROR, SERVER_ERROR, Error, ErrorResponse, ErrorType


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
