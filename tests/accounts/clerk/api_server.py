"""Servers in the place of the Backend API, and a clock that sleeps without waiting."""

from __future__ import annotations

import json
import socket
import threading

from pytest_httpserver import HTTPServer
from werkzeug import Response

from tests.clock import Clock

SECRET = "sk_test_NotForAnybodysEyes"


class SleepClock(Clock):
    """A clock that only `sleep` moves; `slept` lists the seconds of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.slept.append(seconds)
        self.now += seconds


class RawServer:
    """Send each connection the next answer (the last one repeats), and close it after `hold` seconds."""

    def __init__(self) -> None:
        self.answers = [b""]
        self.hold = 0.0
        self.served = 0
        self._closed = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answers[min(self.served, len(self.answers) - 1)])
                self.served += 1
                self._closed.wait(self.hold)

    def close(self) -> None:
        """Stop listening, and wait for the thread."""
        self._closed.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=5)


def raw_answer(
    body: bytes, *, status: str = "200 OK", length: int | None = None, headers: bytes = b""
) -> bytes:
    """Build an HTTP answer; with a `length` beyond the body's it is cut off."""
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), headers, size, body)


def json_response(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Build a JSON answer."""
    return Response(json.dumps(body), status=status, headers=headers, content_type="application/json")


def serve_in_turn(httpserver: HTTPServer, path: str, *responses: Response) -> None:
    """Serve these answers in turn; the last one repeats."""
    left = list(responses)
    httpserver.expect_request(path).respond_with_handler(
        lambda _request: left.pop(0) if len(left) > 1 else left[0]
    )
