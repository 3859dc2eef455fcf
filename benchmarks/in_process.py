"""Whole requests in this process: from the WSGI environment to the closed response."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.wsgi import get_wsgi_application

Environ = dict[str, Any]


class Site:
    """The benchmark site, called as a WSGI server calls it."""

    def __init__(self) -> None:
        self._application: Callable[..., Iterable[bytes]] = get_wsgi_application()

    def get(self, path: str, *, authorization: str) -> tuple[int, bytes]:
        """Send a GET request and return status and body."""
        return self._call(_environ("GET", path) | {"HTTP_AUTHORIZATION": authorization})

    def post(self, path: str, body: bytes, *, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a POST request and return status and body."""
        names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        more = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        return self._call(_environ("POST", path) | names | more)

    def _call(self, environ: Environ) -> tuple[int, bytes]:
        seen: list[str] = []
        answer = self._application(environ, lambda status, *_: seen.append(status))
        try:
            return int(seen[0][:3]), b"".join(answer)
        finally:
            if close := getattr(answer, "close", None):
                close()


def clerk_id_in(body: bytes) -> str | None:
    """Return the Clerk id in a response body, or None."""
    found = json.loads(body)
    return found.get("clerk_id") if isinstance(found, dict) else None


def _environ(method: str, path: str) -> Environ:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
