"""The headers that keep an answer out of shared caches.

A proxy with rules of the kind "cache everything" ignores the `Authorization` header of a request. Without
these headers it may answer one user with the data of another (RFC 9111, section 5.2.2.5).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

Response = TypeVar("Response", bound=HttpResponseBase)


def forbid_caching(response: HttpResponseBase) -> None:
    """Replace `Cache-Control` by `no-store` and add `Authorization` to `Vary`."""
    response.headers["Cache-Control"] = "no-store"
    patch_vary_headers(response, ("Authorization",))


def never_cached(view: Callable[[HttpRequest], Response]) -> Callable[[HttpRequest], Response]:
    """Decorate a view so that no answer of it is cached, whatever middleware the project has."""

    @wraps(view)
    def answer(request: HttpRequest) -> Response:
        response = view(request)
        forbid_caching(response)
        return response

    return answer
