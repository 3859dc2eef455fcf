"""Answers of the API, the webhooks and the health endpoints are for the one who asked, never for a cache."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.caching import forbid_caching

UNCACHED_PATHS = re.compile(r"/+(api|webhooks|health|metrics)(/|\Z)")


class NoStoreMiddleware:
    """Forbid caching of everything below `/api`, `/webhooks`, `/health` and `/metrics`, errors included.

    Stands first in MIDDLEWARE: redirects, CORS preflights and refusals of other middlewares pass it too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, and set the headers where the path is one of ours."""
        response = self.get_response(request)
        if UNCACHED_PATHS.match(request.path_info):
            forbid_caching(response)
        return response
