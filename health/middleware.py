"""Answer monitoring before the checks of hosts, https and sessions."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from health.views import live, metrics, ready, sync

View = Callable[[HttpRequest], HttpResponseBase]

PROBES: dict[str, View] = {"/health/live": live, "/health/ready": ready}
# Staff read them in an admin session. Requests without a session need no other middleware.
REPORTS: dict[str, View] = {"/health/sync": sync, "/metrics": metrics}


class ProbeMiddleware:
    """Answer probes with any Host header, because orchestrators use IP addresses.

    Place it directly after the middleware that sets the request id. It also answers requests for reports,
    unless they have a session cookie.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = PROBES.get(request.path_info)
        if view is None and settings.SESSION_COOKIE_NAME not in request.COOKIES:
            view = REPORTS.get(request.path_info)
        return view(request) if view else self.get_response(request)
