"""Answers to machines, before hosts, https, sessions or anything else can stand in their way."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from health.views import live, metrics, ready, sync

View = Callable[[HttpRequest], HttpResponseBase]

PROBES: dict[str, View] = {"/health/live": live, "/health/ready": ready}
# Read by people in the admin's session too; without a session they need nothing of what comes further in.
REPORTS: dict[str, View] = {"/health/sync": sync, "/metrics": metrics}


class ProbeMiddleware:
    """Answer probes whatever their Host header says: an orchestrator asks by address.

    Stands right behind the request ids. Reports are answered here as well, unless a session cookie came.
    """

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = PROBES.get(request.path_info)
        if view is None and settings.SESSION_COOKIE_NAME not in request.COOKIES:
            view = REPORTS.get(request.path_info)
        return view(request) if view else self.get_response(request)
