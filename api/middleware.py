"""An id for each request, in the response and in every log line of the request."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
# The ids accepted from a proxy: short, and safe in a header or a log line.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")

logger = logging.getLogger("api.request")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIDMiddleware:
    """Keep a well-formed inbound `X-Request-ID` or create one, and log one line for each request.

    Comes before all middleware that can respond: redirects, CORS preflights and error pages have the id too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response with the id of the request."""
        request_id = choose_request_id(request.headers.get(HEADER))
        token = _request_id.set(request_id)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            elapsed_ms = round((time.perf_counter() - started) * 1000, 2)
            logger.info("request", extra=_describe(request, response) | {"duration_ms": elapsed_ms})
            return response
        finally:
            _request_id.reset(token)


class RequestIDFilter(logging.Filter):
    """Add `request_id` to each record (null outside a request), and remove the request object.

    Django attaches the request to its records; when formatted, it shows the URL with the query.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record passes."""
        record.request_id = _request_id.get()
        record.__dict__.pop("request", None)
        return True


def choose_request_id(inbound: str | None) -> str:
    """Return `inbound` if it is well formed, otherwise a new id of 32 hexadecimal digits."""
    if inbound is not None and WELL_FORMED.fullmatch(inbound):
        return inbound
    return uuid4().hex


def _describe(request: HttpRequest, response: HttpResponseBase) -> dict[str, object]:
    # The route, because a path may hold personal data. `auth`, which REST framework sets, because reading
    # `user` could load a session from the database.
    match = request.resolver_match
    return {
        "method": request.method,
        "route": match.route if match else None,
        "status": response.status_code,
        "clerk_id": getattr(getattr(request, "auth", None), "user_id", None),
    }
