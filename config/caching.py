"""Responses of the API, the webhooks and the health endpoints must not be cached."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.caching import forbid_caching

UNCACHED_PATHS = re.compile(r"/(api|webhooks|health|metrics)(/|\Z)")


class NoStoreMiddleware:
    """Forbid caching of everything below `/api`, `/webhooks`, `/health` and `/metrics`, errors included.

    Comes first in MIDDLEWARE, so that it handles redirects, CORS preflights and refusals of other middleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, with the headers if the path is one of these."""
        response = self.get_response(request)
        if UNCACHED_PATHS.match(request.path_info):
            forbid_caching(response)
        return response
