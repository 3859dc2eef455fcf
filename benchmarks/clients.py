"""A load that is bounded: so many connections, kept alive, with one request at a time on each."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and how long it took, in seconds."""

    status: int
    body: bytes
    took: float


class Client:
    """One connection that is kept. It knows as little of HTTP as it can: a slow client hides a server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, *, authorization: str) -> Answer:
        """Ask for a page."""
        started = time.perf_counter()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\r\n".encode()
        )
        head, body = self._received(b"", until=b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(None, 1)[0])
        while len(body) < length:
            body += self._chunk()
        return Answer(int(head.split(b" ", 2)[1]), body, time.perf_counter() - started)

    def close(self) -> None:
        """Give the connection up."""
        self._socket.close()

    def _received(self, so_far: bytes, *, until: bytes) -> tuple[bytes, bytes]:
        while until not in so_far:
            so_far += self._chunk()
        head, _, rest = so_far.partition(until)
        return head, rest

    def _chunk(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("The server closed the connection.")
        return chunk


class Load:
    """So many clients at once, each with its share of what is to be asked."""

    def __init__(self, address: tuple[str, int], *, clients: int) -> None:
        self._clients = [Client(address) for _ in range(clients)]
        self._pool = ThreadPoolExecutor(clients)

    def send(self, questions: Sequence[tuple[str, str]]) -> list[Answer]:
        """Ask everything (path, Authorization), neighbours at once, and return the answers in order."""
        count = len(self._clients)
        shares = [questions[number::count] for number in range(count)]
        answered = self._pool.map(_ask_all, self._clients, shares)
        in_turn = zip_longest(*answered)
        return [answer for round_ in in_turn for answer in round_ if answer is not None]

    def close(self) -> None:
        """Give the connections up."""
        self._pool.shutdown()
        for client in self._clients:
            client.close()


@contextmanager
def load_on(address: tuple[str, int], *, clients: int) -> Iterator[Load]:
    """Open so many connections."""
    load = Load(address, clients=clients)
    try:
        yield load
    finally:
        load.close()


def _ask_all(client: Client, questions: Sequence[tuple[str, str]]) -> list[Answer]:
    return [client.get(path, authorization=authorization) for path, authorization in questions]
