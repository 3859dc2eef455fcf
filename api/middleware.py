"""One id for each request: on its response, and in every log line written while it is answered."""

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
# What a proxy may hand us: nothing that could break a log line or a header, nothing long.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,128}")

logger = logging.getLogger("api.request")
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIDMiddleware:
    """Keep a well-formed inbound `X-Request-ID`, else make one; log one line when the answer is ready.

    Stands before all middlewares that answer: redirects, CORS preflights and error pages carry the id too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request under its id."""
        request_id = choose_request_id(request.headers.get(HEADER))
        held = _request_id.set(request_id)
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response.headers[HEADER] = request_id
            logger.info("request", extra=_describe(request, response) | {"duration_ms": _elapsed_ms(started)})
            return response
        finally:
            _request_id.reset(held)


class RequestIDFilter(logging.Filter):
    """Put `request_id` on each record (null outside a request), and take the request object off.

    Django attaches the whole request to its own records; printed, it shows the address with its query.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record."""
        record.request_id = _request_id.get()
        record.__dict__.pop("request", None)
        return True


def choose_request_id(inbound: str | None) -> str:
    """Return `inbound` if it is well formed, else a new id of 32 hexadecimal digits."""
    if inbound is not None and WELL_FORMED.fullmatch(inbound):
        return inbound
    return uuid4().hex


def _describe(request: HttpRequest, response: HttpResponseBase) -> dict[str, object]:
    # The route, not the path: a path may hold anything that a stranger typed. `auth` is set by REST framework
    # alone; reading `user` here could load a session from the database.
    match = request.resolver_match
    return {
        "method": request.method,
        "route": match.route if match else None,
        "status": response.status_code,
        "clerk_id": getattr(getattr(request, "auth", None), "user_id", None),
    }


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
