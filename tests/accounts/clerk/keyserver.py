"""A real HTTP server for key documents, with the faults of servers and networks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class KeyServer(ThreadingHTTPServer):
    """Answers as `behave` does and counts the requests."""

    daemon_threads = True

    def __init__(self, behave: Behaviour) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave = behave
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/.well-known/jwks.json"


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked += 1
        with suppress(OSError):  # the client has closed the connection
            self.server.behave(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""


@contextmanager
def serving(behave: Behaviour) -> Iterator[KeyServer]:
    """Run a server within the block."""
    server = KeyServer(behave)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def answer(body: bytes, *, status: int = 200, after: float = 0, **headers: str) -> Behaviour:
    """Return a behaviour: answer with this body, `after` seconds late."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(after)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def document(value: object, *, after: float = 0) -> Behaviour:
    """Return a behaviour: answer with JSON."""
    return answer(json.dumps(value).encode(), after=after)


def dated(value: object, *, ahead: float = 0, date: str | None = None, **headers: str) -> Behaviour:
    """Return a behaviour: answer with JSON by a clock that is ahead of ours, or with this Date."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(200)
        handler.send_header("Date", formatdate(time.time() + ahead, usegmt=True) if date is None else date)
        for name, header in headers.items():
            handler.send_header(name, header)
        handler.end_headers()
        handler.wfile.write(json.dumps(value).encode())

    return behave


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Take the request and do not answer."""
    time.sleep(10)


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    """Send the body a byte at a time, without end."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.1)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send the head a byte at a time, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.1)


def flood(handler: BaseHTTPRequestHandler) -> None:
    """Send 64 MB."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(64):
        handler.wfile.write(b" " * 1_000_000)


def boast(handler: BaseHTTPRequestHandler) -> None:
    """Announce one chunk of 16 TiB and send a megabyte of it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n")
    handler.wfile.write(b" " * 1_000_000)


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Break off in the middle of the head."""
    handler.wfile.write(b"HTTP/1.1 20")
    handler.connection.close()
