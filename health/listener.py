"""A listener of its own for probes and metrics, which answers whatever the request threads wait for.

Each worker has one; the kernel distributes the connections to one port over them (SO_REUSEPORT). Only its
threads serve it: no middleware, session or log line, because each of these can wait for something.

Note [A listener that cannot be held]
Each connection has a thread for the short time of one request. There are at most `MAX_CONNECTIONS`, and
further ones are closed at once. Whatever a client sends, slowly or without end, its connection ends after
`HEAD_SECONDS`. At most `MAX_READY` requests wait for the database and `MAX_METRICS` for the metrics, so that
connections are left for the liveness probe.
"""

from __future__ import annotations

import errno
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers

from accounts.clerk.unexpected import log_unexpected
from health.views import answer_ready, live, metrics, record_pending

MAX_CONNECTIONS = 16
# Of them, requests that may wait: for the database, and for the folder of the metrics.
MAX_READY, MAX_METRICS = 8, 2
BACKLOG = 64
HEAD_SECONDS = 1.0
SEND_SECONDS = 2.0
# For a client that sends a body: closing before it is read would discard the answer.
LINGER_SECONDS = 0.2
MAX_HEAD_BYTES = 8192
ACCEPT_RETRY_SECONDS = 0.05
REQUEST_LINE = re.compile(r"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.[0-9]")
HEADERS = {"authorization": "HTTP_AUTHORIZATION", "x-request-id": "HTTP_X_REQUEST_ID"}
LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"

logger = logging.getLogger(__name__)


class PortTaken(Exception):
    """Another program uses the port. The text is for the operator."""


class BadRequest(Exception):
    """The head of a request cannot be read; `status` is that of the answer."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class Listener:
    """Answers liveness, readiness and metrics on one port: Note [A listener that cannot be held].

    `choose_request_id` returns the id of a request from its inbound `X-Request-ID`. The constructor binds the
    port and raises PortTaken if another program has it; it is open after `start`.
    """

    def __init__(self, port: int, *, choose_request_id: Callable[[str | None], str]) -> None:
        self._choose_request_id = choose_request_id
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._ready = threading.BoundedSemaphore(MAX_READY)
        self._metrics = threading.BoundedSemaphore(MAX_METRICS)
        self._recording = threading.Lock()
        self._is_closed = False
        try:
            self._socket = _bind(port)
        except OSError as error:
            raise PortTaken(
                f"HEALTH_PORT: port {port} cannot be used ({error.strerror}). Stop the program that uses it, "
                "or choose another port."
            ) from None

    @property
    def port(self) -> int:
        """Return the port that is bound."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Open the port and answer in threads of this process; raise PortTaken."""
        try:
            self._socket.listen(BACKLOG)
        except OSError as error:
            raise PortTaken(f"HEALTH_PORT: the port cannot be opened ({error.strerror}).") from None
        _start_thread("health-listener", self._accept)

    def close(self) -> None:
        """Close the port and end its thread."""
        self._is_closed = True
        with suppress(OSError):  # it may not be open yet
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def leave_to_parent(self) -> None:
        """Close the port in a forked process; that of the parent stays open."""
        self._socket.close()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # no file descriptor is free, or the client has already left
                time.sleep(ACCEPT_RETRY_SECONDS)
                continue
            if not self._connections.acquire(blocking=False):
                connection.close()
                continue
            try:
                _start_thread("health-probe", self._serve, connection)
            except RuntimeError:  # the process has no more threads
                self._connections.release()
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        is_ready = False
        try:
            with connection:
                is_ready = self._answer(connection)
        except OSError:  # the client has left, or was too slow
            pass
        except Exception as error:  # noqa: BLE001 - the edge of this thread
            log_unexpected(logger, "Unexpected error of a probe", error=error)
        finally:
            self._connections.release()
        # After the answer: writing failures may take as long as the database does.
        if is_ready and self._recording.acquire(blocking=False):
            try:
                record_pending()
            finally:
                connections.close_all()
                self._recording.release()

    def _answer(self, connection: socket.socket) -> bool:
        """Answer one request; return whether this process is ready and its failures can be written."""
        request = HttpRequest()
        try:
            request = _parse(_read_head(connection))
            response = self._respond(request)
        except BadRequest as bad:
            response = HttpResponse(status=bad.status)
        connection.settimeout(SEND_SECONDS)
        connection.sendall(self._format(response, request))
        is_ready = request.path_info == READY and response.status_code == HTTPStatus.OK
        with suppress(OSError):  # the answer is sent: how the client leaves changes nothing
            _linger(connection)
        return is_ready

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == LIVE:
            return live(request)
        if request.path_info == READY:
            # So many requests wait only for a database that does not answer.
            busy = JsonResponse({"status": "database_unavailable"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
            return _call(answer_ready, request, limit=self._ready, busy=busy)
        if request.path_info == METRICS:
            unavailable = HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
            return _call(metrics, request, limit=self._metrics, busy=unavailable)
        return HttpResponse(status=HTTPStatus.NOT_FOUND)

    def _format(self, response: HttpResponse, request: HttpRequest) -> bytes:
        response.headers["Cache-Control"] = "no-store"
        patch_vary_headers(response, ("Authorization",))
        response.headers["X-Request-ID"] = self._choose_request_id(request.headers.get("X-Request-ID"))
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["Connection"] = "close"
        status = f"HTTP/1.1 {response.status_code} {response.reason_phrase}\r\n".encode()
        body = b"" if request.method == "HEAD" else response.content
        return status + response.serialize_headers() + b"\r\n\r\n" + body


def _start_thread(name: str, target: Callable[..., None], *arguments: object) -> None:
    """Start a daemon thread; raise RuntimeError if the process has no more threads."""
    threading.Thread(target=target, args=arguments, name=name, daemon=True).start()


def _call(
    view: Callable[[HttpRequest], HttpResponse],
    request: HttpRequest,
    *,
    limit: threading.BoundedSemaphore,
    busy: HttpResponse,
) -> HttpResponse:
    """Return the response of a view that may wait, or `busy` if too many requests wait for it."""
    if not limit.acquire(blocking=False):
        return busy
    try:
        return view(request)
    finally:
        limit.release()


def _bind(port: int) -> socket.socket:
    """Return a socket that other workers may share, on IPv6 and IPv4 where both exist; raise OSError."""
    try:
        return _bind_to(socket.AF_INET6, "::", port)
    except OSError as error:
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise
    return _bind_to(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - probes come from outside


def _bind_to(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def _read_head(connection: socket.socket) -> bytes:
    """Read until the blank line; raise OSError for a client that leaves or is too slow, or BadRequest."""
    deadline = time.monotonic() + HEAD_SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > MAX_HEAD_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        received = _receive(connection, deadline=deadline)
        if not received:
            raise ConnectionResetError
        head += received
    return head.partition(b"\r\n\r\n")[0]


def _receive(connection: socket.socket, *, deadline: float) -> bytes:
    """Receive what has arrived; raise TimeoutError after the deadline.

    The timeout of a socket alone starts anew with each byte.
    """
    seconds_left = deadline - time.monotonic()
    if seconds_left <= 0:
        raise TimeoutError
    connection.settimeout(seconds_left)
    return connection.recv(4096)


def _parse(head: bytes) -> HttpRequest:
    """Return a request with its method, path and the two headers that matter; raise BadRequest."""
    line, *fields = head.decode("latin-1").split("\r\n")
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    request = HttpRequest()
    request.method = match[1]
    request.path = request.path_info = match[2].partition("?")[0]
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon:
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        if name.lower() in HEADERS:
            request.META[HEADERS[name.lower()]] = value.strip(" \t")
    return request


def _linger(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + LINGER_SECONDS
    while _receive(connection, deadline=deadline):
        pass
