"""A foreign Host in debug: the envelope, where Django would show its settings and the code."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost, MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from api.errors import bad_request, speaks_json

# Django's own name for it, and its own words: they say what to add to ALLOWED_HOSTS.
logger = logging.getLogger("django.security.DisallowedHost")


class HostMiddleware:
    """Refuse a foreign Host at the addresses of the API as `handler400` does it outside debug.

    Stands before everything that asks for the host. Outside debug it is not there at all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.DEBUG:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer 400, or go on."""
        if speaks_json(request):
            try:
                request.get_host()
            except DisallowedHost as refusal:
                logger.error("%s", refusal)  # noqa: TRY400 - the place in the code says nothing
                return bad_request(request, refusal)
        return self.get_response(request)
