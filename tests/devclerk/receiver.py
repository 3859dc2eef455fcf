"""An endpoint for webhooks that writes down what it gets and answers as it is told."""

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
    """One delivery; `at` in monotonic seconds."""

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
        self.hold = 0.0  # seconds before the first answer
        self.got: list[Received] = []
        self._news = threading.Condition()
        server.expect_request("/hook", method="POST").respond_with_handler(self._answer)

    def wait(self, count: int, *, seconds: float = 5.0) -> list[Received]:
        """Give the deliveries once there are so many; fail when they do not come."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.got) >= count, seconds), f"only {len(self.got)} came"
            return list(self.got)

    def stays_at(self, count: int, *, seconds: float = 0.3) -> bool:
        """Tell whether no more than so many come for a while."""
        self.wait(count)
        time.sleep(seconds)
        return len(self.got) == count

    def _answer(self, request: Request) -> Response:
        with self._news:
            status = self.statuses.pop(0) if self.statuses else 200
            body = request.get_data()
            self.got.append(Received(headers=dict(request.headers), body=body, at=time.monotonic()))
            self._news.notify_all()
            hold, self.hold = self.hold, 0.0
        time.sleep(hold)
        return Response("noted", status=status, headers={"Location": "/hook"} if status < 400 else {})
