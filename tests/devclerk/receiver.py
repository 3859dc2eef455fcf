"""A webhook endpoint that records its requests and answers with chosen statuses."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from pytest_httpserver import HTTPServer
from svix.webhooks import Webhook
from werkzeug import Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One delivery; `at` is in monotonic seconds."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def svix_id(self) -> str:
        return self.headers["Svix-Id"]

    @property
    def stamp(self) -> int:
        return int(self.headers["Svix-Timestamp"])

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def verify(self, secret: str) -> None:
        """Raise unless Svix's own library accepts the delivery."""
        Webhook(secret).verify(self.body, {name.lower(): value for name, value in self.headers.items()})


class Receiver:
    """Answers the statuses in `statuses` one after the other, then 200."""

    def __init__(self, server: HTTPServer, *, statuses: tuple[int, ...] = ()) -> None:
        self.url = server.url_for("/hook")
        self.statuses = list(statuses)
        self.delay_seconds = 0.0  # before the next answer
        self.received: list[Received] = []
        self._arrived = threading.Condition()
        server.expect_request("/hook", method="POST").respond_with_handler(self._answer)

    def wait(self, count: int, *, seconds: float = 5.0) -> list[Received]:
        """Return the deliveries once there are `count`; fail after `seconds`."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.received) >= count, seconds)
            assert arrived, f"only {len(self.received)} arrived"
            return list(self.received)

    def stays_at(self, count: int, *, seconds: float = 0.3) -> bool:
        """Return whether exactly `count` deliveries arrive, and no more within `seconds`."""
        self.wait(count)
        time.sleep(seconds)
        return len(self.received) == count

    def _answer(self, request: Request) -> Response:
        with self._arrived:
            status = self.statuses.pop(0) if self.statuses else 200
            body = request.get_data()
            self.received.append(Received(headers=dict(request.headers), body=body, at=time.monotonic()))
            self._arrived.notify_all()
            delay_seconds, self.delay_seconds = self.delay_seconds, 0.0
        time.sleep(delay_seconds)
        return Response("noted", status=status, headers={"Location": "/hook"} if status < 400 else {})
