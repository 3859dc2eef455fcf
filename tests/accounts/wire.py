"""A proxy in front of the Backend API that can replace its answers."""

from __future__ import annotations

import re
from collections.abc import Callable

import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from devclerk.fixtures import LocalClerk

Tamper = Callable[[Request, Response], Response]


class Wire:
    """Forwards to the emulator. `tamper` gets each request with its answer and returns the answer to send."""

    def __init__(self, clerk: LocalClerk, httpserver: HTTPServer) -> None:
        self._clerk = clerk
        self.url = httpserver.url_for("")
        self.calls: list[str] = []
        self.tamper: Tamper = lambda _request, response: response
        httpserver.expect_request(re.compile("/v1/.*")).respond_with_handler(self._forward)

    def _forward(self, request: Request) -> Response:
        self.calls.append(request.full_path)
        answer = requests.get(
            self._clerk.api_url + request.full_path,
            headers={"Authorization": request.headers.get("Authorization", "")},
            timeout=10,
        )
        response = Response(answer.content, status=answer.status_code, content_type="application/json")
        return self.tamper(request, response)
