"""Clients that ask all the time, and what each of their requests got."""

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

Ask = Callable[[random.Random], requests.Response]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request got: its status (0: no answer came), the code of an error, and when (monotonic)."""

    kind: str
    status: int
    code: str
    began: float
    ended: float


class Load:
    """So many clients, each asking one of these questions after the other until the block ends."""

    def __init__(self, questions: Mapping[str, Ask], *, clients: int, seed: int) -> None:
        self._questions = dict(questions)
        self._over = threading.Event()
        self._chances = [random.Random(f"{seed} {number}") for number in range(clients)]  # noqa: S311 - repeatable
        self._threads = ThreadPoolExecutor(clients)
        self._clients: list[Future[None]] = []
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self._clients = [self._threads.submit(self._ask_on, chance) for chance in self._chances]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._threads.shutdown()
        for client in self._clients:
            client.result()  # raises what ended a client

    def has_seen(self, status: int, *, since: float) -> bool:
        """Tell whether a request that began since this moment (monotonic) got this status."""
        return any(each.status == status and each.began > since for each in self.answers)

    def _ask_on(self, chance: random.Random) -> None:
        while not self._over.is_set():
            kind = chance.choice(list(self._questions))
            began = time.monotonic()
            response = self._questions[kind](chance)
            self.answers.append(answer_of(kind, response, began=began))


def answer_of(kind: str, response: requests.Response, *, began: float) -> Answer:
    """Note what a request got."""
    code = ""
    if response.status_code >= 400 and "json" in response.headers.get("Content-Type", ""):
        body = response.json()
        code = str(body["errors"][0]["code"]) if "errors" in body else str(body.get("status", ""))
    return Answer(kind, response.status_code, code, began, time.monotonic())


def table(answers: Iterable[Answer]) -> str:
    """Draw what the clients saw: how often each kind of request got each answer."""
    counts = Counter((each.kind, f"{each.status} {each.code}".strip()) for each in answers)
    lines = [
        f"      {kind:<28} {answer:<28} {number:>6}" for (kind, answer), number in sorted(counts.items())
    ]
    return "\n" + "\n".join(lines)


def slowest(answers: Iterable[Answer]) -> str:
    """Give the longest wait for an answer."""
    return f"{max((each.ended - each.began for each in answers), default=0):.2f} s"
