"""Clients that send requests continuously, and the responses they receive."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import requests

Send = Callable[[random.Random], requests.Response]


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to one request: status (0: no response), error code, and monotonic times in seconds."""

    kind: str
    status: int
    code: str
    began: float
    ended: float


class Load:
    """Clients that send randomly chosen kinds of requests, one after the other, until the block ends."""

    def __init__(self, requests_by_kind: Mapping[str, Send], *, clients: int, seed: int) -> None:
        self._requests_by_kind = dict(requests_by_kind)
        self._stop = threading.Event()
        self._rngs = [random.Random(f"{seed} {number}") for number in range(clients)]  # noqa: S311 - repeatable
        self._threads = ThreadPoolExecutor(clients)
        self._clients: list[Future[None]] = []
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self._clients = [self._threads.submit(self._send_until_stopped, rng) for rng in self._rngs]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._threads.shutdown()
        for client in self._clients:
            client.result()  # raises the exception of a client

    def has_seen(self, status: int, *, since: float) -> bool:
        """Return whether a request that started after this monotonic time received this status."""
        return any(each.status == status and each.began > since for each in self.answers)

    def _send_until_stopped(self, rng: random.Random) -> None:
        while not self._stop.is_set():
            kind = rng.choice(list(self._requests_by_kind))
            began = time.monotonic()
            response = self._requests_by_kind[kind](rng)
            self.answers.append(answer_of(kind, response, began=began))


def answer_of(kind: str, response: requests.Response, *, began: float) -> Answer:
    """Build the Answer to a request."""
    code = ""
    if response.status_code >= 400 and "json" in response.headers.get("Content-Type", ""):
        body = response.json()
        code = str(body["errors"][0]["code"]) if "errors" in body else str(body.get("status", ""))
    return Answer(kind, response.status_code, code, began, time.monotonic())


def format_table(answers: Iterable[Answer]) -> str:
    """Return a table of how often each kind of request received each response."""
    counts = Counter((each.kind, f"{each.status} {each.code}".strip()) for each in answers)
    lines = [
        f"      {kind:<28} {answer:<28} {number:>6}" for (kind, answer), number in sorted(counts.items())
    ]
    return "\n" + "\n".join(lines)


def format_slowest(answers: Iterable[Answer]) -> str:
    """Return the longest duration of a request as text."""
    return f"{max((each.ended - each.began for each in answers), default=0):.2f} s"
