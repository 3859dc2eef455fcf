"""One envelope for every error of REST framework: `{"type", "errors": [{"code", "detail", "attr"}]}`.

A project whose clients expect it sets `EXCEPTION_HANDLER` to `accounts.errors.exception_handler`. Without it
the codes are those of the exceptions, in the project's own envelope.

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
from http import HTTPStatus
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.utils.log import log_response
from drf_standardized_errors import handler
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    ErrorDetail,
    NotAuthenticated,
    ParseError,
    PermissionDenied,
)
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import ClerkAuthentication, ServiceUnavailable
from accounts.permissions import ReverificationRequired

# The scheme may be a token without one, so that no part of the header is repeated.
NO_SCHEME = "The Authorization header has no scheme. Send: Authorization: Bearer <token>"
OTHER_SCHEME = "The scheme of the Authorization header is not Bearer. Send: Authorization: Bearer <token>"

logger = logging.getLogger(__name__)


def exception_handler(exc: Exception, context: Any) -> Response | None:
    """Return the response for an exception of a view, or None to let Django handle it."""
    response: Response | None = ExceptionHandler(exc, context).run()
    return response


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
        if isinstance(exc, NotAuthenticated) and (fault := _find_fault_of_header(self.context["request"])):
            exc.detail = ErrorDetail(fault, exc.default_code)
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


def _find_fault_of_header(request: Request | None) -> str:
    """Return why the Authorization header of a request for ClerkAuthentication holds no token, or ""."""
    classes = getattr(request, "authenticators", None) or ()
    if request is None or not any(isinstance(each, ClerkAuthentication) for each in classes):
        return ""
    header = request.META.get("HTTP_AUTHORIZATION", "").strip()
    scheme, blank, _ = header.partition(" ")
    if not header or scheme.lower() == "bearer":  # none, or a token that was left to another class
        return ""
    return OTHER_SCHEME if blank else NO_SCHEME
