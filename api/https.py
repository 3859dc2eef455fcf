"""Refuse credentials that arrive over plain http."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware

from api.errors import https_required


class HTTPSRequiredMiddleware:
    """Answer 403 where SecurityMiddleware would redirect a request that has an `Authorization` header.

    The token has already travelled in clear text. After a redirect the client would send it again, over
    https, and its mistake would stay unnoticed. Place it before SecurityMiddleware, whose settings it uses.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._security = SecurityMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the refusal, or the response of the next middleware."""
        if "HTTP_AUTHORIZATION" in request.META and self._security.process_request(request) is not None:
            return https_required(request)
        return self.get_response(request)
