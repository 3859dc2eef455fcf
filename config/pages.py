"""The headers that limit what a page may do in the browser: where it loads from, and which devices it uses.

Only pages have them: an answer of the API is no page, and a warm request does not pay for them. The policy is
that of `config.settings`. Django sets it from 6.0 on, django-csp before.
"""

from __future__ import annotations

from collections.abc import Callable

import django
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

POLICY_MIDDLEWARE = (
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6, 0)
    else "csp.middleware.CSPMiddleware"
)
# Devices and abilities of the browser that no page of the project uses.
PERMISSIONS_POLICY = ", ".join(
    f"{ability}=()"
    for ability in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "publickey-credentials-get",
        "usb",
    )
)


class PageHeadersMiddleware:
    """Set Content-Security-Policy and Permissions-Policy on HTML pages, errors included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._policy = import_string(POLICY_MIDDLEWARE)(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response, with the headers if it is a page. A view may set its own policy."""
        response = self.get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
            response = self._policy.process_response(request, response)
        return response
