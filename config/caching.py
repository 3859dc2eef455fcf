"""The headers that keep responses out of shared caches.

A proxy with rules of the kind "cache everything" ignores the `Authorization` header of a request. Without
these headers it may answer one user with the data of another (RFC 9111, section 5.2.2.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

UNCACHED_PATHS = re.compile(r"/+(api|webhooks|health|metrics)(/|\Z)")


class NoStoreMiddleware:
    """Forbid caching of everything below `/api`, `/webhooks`, `/health` and `/metrics`, errors included.

    First in MIDDLEWARE: it also covers redirects, CORS preflights and refusals of other middlewares.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, with the headers if the path is one of these."""
        response = self.get_response(request)
        if UNCACHED_PATHS.match(request.path_info):
            response.headers["Cache-Control"] = "no-store"
            patch_vary_headers(response, ("Authorization",))
        return response
