"""A closed-loop load generator: keep-alive connections with one request at a time on each."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and its duration in seconds."""

    status: int
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes of a request."""

    data: bytes

    @classmethod
    def get(cls, path: str, *, authorization: str) -> Request:
        """Return a GET request."""
        return cls._build("GET", path, {"Authorization": authorization})

    @classmethod
    def post(cls, path: str, body: bytes, *, headers: Mapping[str, str]) -> Request:
        """Return a POST request with a body."""
        return cls._build("POST", path, {**headers, "Content-Length": str(len(body))}, body)

    @classmethod
    def _build(cls, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Request:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return cls("\r\n".join([*lines, "", ""]).encode() + body)


class Client:
    """One keep-alive connection with minimal HTTP parsing, so that the client costs little."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> Answer:
        """Send a request; raise ConnectionError if the server closes the connection."""
        started = time.perf_counter()
        self._socket.sendall(request.data)
        head, body = self._receive_until(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
        while len(body) < length:
            body += self._receive_chunk()
        return Answer(int(head.split(b" ", 2)[1]), body, time.perf_counter() - started)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive_until(self, delimiter: bytes) -> tuple[bytes, bytes]:
        received = b""
        while delimiter not in received:
            received += self._receive_chunk()
        head, _, rest = received.partition(delimiter)
        return head, rest

    def _receive_chunk(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("The server closed the connection.")
        return chunk


class Load:
    """A number of concurrent clients that share the requests."""

    def __init__(self, address: tuple[str, int], *, clients: int) -> None:
        self._clients = [Client(address) for _ in range(clients)]
        self._pool = ThreadPoolExecutor(clients)

    def send(self, requests: Sequence[Request]) -> list[Answer]:
        """Send each request and return the responses in order; adjacent ones are concurrent."""
        count = len(self._clients)
        shares = [requests[number::count] for number in range(count)]
        answered = self._pool.map(_send_all, self._clients, shares)
        in_turn = zip_longest(*answered)
        return [answer for round_ in in_turn for answer in round_ if answer is not None]

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for client in self._clients:
            client.close()


@contextmanager
def load_on(address: tuple[str, int], *, clients: int) -> Iterator[Load]:
    """Open this number of connections, and close them at the end."""
    load = Load(address, clients=clients)
    try:
        yield load
    finally:
        load.close()


def _send_all(client: Client, requests: Sequence[Request]) -> list[Answer]:
    return [client.send(request) for request in requests]
