"""The HTTP server of the emulator: on loopback alone, with controls that are closed to other origins.

The Host header is checked against DNS rebinding: a foreign name that resolves to 127.0.0.1 gets a 421.
"""

from __future__ import annotations

import logging
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from devclerk.control import Control
from devclerk.emulator import Emulator
from devclerk.frontend.api import answer_frontend, serves
from devclerk.frontend.calls import Instance
from devclerk.frontend.scripts import script_answer
from devclerk.frontend.sign_in import sign_in_answer
from devclerk.page import index_page
from devclerk.sandbox import sandbox_answer
from devclerk.web import Answer, Request

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
KEYS_PATH = "/.well-known/jwks.json"
POLL_SECONDS = 0.05
MAX_BODY_BYTES = 1_000_000


class Server:
    """Serves an emulator on a loopback port (0: any free one), as a context manager.

    Clerk's scripts come from the folder `node_modules`. Raise `OSError` for a port that is in use.
    """

    def __init__(self, emulator: Emulator, *, port: int = 0, node_modules: Path | None = None) -> None:
        self.emulator = emulator
        self._http = _LoopbackServer((LOOPBACK, port), _Handler)
        self.port = int(self._http.server_address[1])
        self.origin = f"http://{LOOPBACK}:{self.port}"
        self.origins = tuple(f"http://{name}:{self.port}" for name in NAMES)
        self._http.site = self
        self.instance = Instance(emulator=emulator, issuer=self.origin, port=self.port)
        self._control = Control(emulator, issuer=self.origin)
        self._node_modules = node_modules

    def __enter__(self) -> Self:
        """Serve in a background thread."""
        options = {"poll_interval": POLL_SECONDS}
        threading.Thread(
            target=self._http.serve_forever, kwargs=options, name="devclerk", daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving and free the port."""
        self.emulator.close()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        if f"http://{request.headers.get('host', '')}" not in self.origins:
            detail = f"The emulator answers at {self.origin} and to no other Host."
            return Answer.refusal(detail, status=HTTPStatus.MISDIRECTED_REQUEST)
        if request.path.startswith("/_dev/"):
            return self._answer_control(request)
        if request.path == KEYS_PATH or request.path.startswith("/v1/"):
            return self._answer_clerk(request)
        return self._answer_page(request)

    def _answer_clerk(self, request: Request) -> Answer:
        if request.path in {KEYS_PATH, "/v1/jwks"}:
            return self.emulator.answer_keys(request)
        if request.path == "/v1/clients/handshake_payload":
            return self.emulator.answer_handshake(request)
        if serves(request.path):
            return answer_frontend(self.instance, request)
        return self.emulator.users_api.answer(request)

    def _answer_page(self, request: Request) -> Answer:
        if request.path == "/":
            key = self.instance.publishable_key
            return index_page(self.emulator, issuer=self.origin, publishable_key=key)
        found = (
            sign_in_answer(self.instance, request)
            or script_answer(request, node_modules=self._node_modules)
            or sandbox_answer(request.path, webhook_url=self.emulator.deliveries.url)
        )
        return found or Answer.refusal("There is nothing at this address.", status=HTTPStatus.NOT_FOUND)

    def _answer_control(self, request: Request) -> Answer:
        # Commands send neither header; a browser sends the second one with every request.
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "none")
        if origin not in {None, f"http://{request.headers['host']}"} or site not in {"same-origin", "none"}:
            detail = "The controls of the emulator are closed to pages of other origins."
            return Answer.refusal(detail, status=HTTPStatus.FORBIDDEN)
        return self._control.answer(request)


class _LoopbackServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # many test threads connect at once
    site: Server

    def server_bind(self) -> None:
        """Bind without a name look-up, which takes seconds where no resolver answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what is not a lost connection; tests close theirs early."""
        if not isinstance(sys.exception(), OSError):
            logger.exception("The emulator failed to answer.")  # noqa: LOG004 - the base calls this in its handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "devclerk"
    sys_version = ""
    timeout = 120
    # Head and body are sent together; else Nagle's algorithm makes each answer 40 ms late.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _LoopbackServer

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Answer.refusal("The body is too large.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
            return
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        self._send(self.server.site.answer(request))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the base looks for these names

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        for value in answer.cookies:
            self.send_header("Set-Cookie", value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base
        """Log requests at the debug level alone."""
        logger.debug(format, *args)
