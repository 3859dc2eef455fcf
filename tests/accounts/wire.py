"""A proxy before the Backend API of the emulator that can change responses."""

from __future__ import annotations

import re
from collections.abc import Callable

import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from devclerk.fixtures import LocalClerk

Tamper = Callable[[Request, Response], Response]


class Wire:
    """A proxy to the local Clerk emulator; `tamper` gets each request and response, returns a response."""

    def __init__(self, clerk: LocalClerk, httpserver: HTTPServer) -> None:
        self._clerk = clerk
        self.url = httpserver.url_for("")
        self.calls: list[str] = []
        self.tamper: Tamper = lambda _request, response: response
        httpserver.expect_request(re.compile("/v1/.*")).respond_with_handler(self._forward)

    def _forward(self, request: Request) -> Response:
        self.calls.append(request.full_path)
        forwarded = requests.get(
            self._clerk.api_url + request.full_path,
            headers={"Authorization": request.headers.get("Authorization", "")},
            timeout=10,
        )
        response = Response(forwarded.content, status=forwarded.status_code, content_type="application/json")
        return self.tamper(request, response)
