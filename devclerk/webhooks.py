"""Webhooks as Svix sends them for Clerk: signed, tried again on a schedule, and faulty on demand.

One background thread makes one delivery at a time, so that nothing is out of order unless it is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import itertools
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from devclerk.events import NO_FAULTS, Faults

# Svix: seconds from a failed attempt to the next one.
RETRY_SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
ATTEMPT_SECONDS = 15.0
STALE_SECONDS = 600  # twice the tolerance
REORDER_SECONDS = 3.0  # how long an event is held back when no other follows
LOG_LENGTH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One delivery that was tried: its status, or None when no answer came."""

    svix_id: str
    type: str
    number: int
    status: int | None
    answer: str


@dataclass(order=True, slots=True)
class Delivery:
    """One copy of a message on its way, in order of the moment when it is due (monotonic seconds)."""

    due: float
    number: int
    svix_id: str = field(compare=False)
    type: str = field(compare=False)
    body: bytes = field(compare=False)
    faults: Faults = field(compare=False)
    attempts: int = field(default=0, compare=False)


def new_secret() -> str:
    """Make a signing secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def signed_headers(
    body: bytes, *, secret: str, svix_id: str, at: float | None = None, good: bool = True
) -> dict[str, str]:
    """Give Svix's headers for a body, signed at `at` (seconds; now); not `good`: with another secret."""
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_")) if good else secrets.token_bytes(24)
    digest = hmac.digest(key, f"{svix_id}.{stamp}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "user-agent": "Svix-Webhooks/devclerk",
        "svix-id": svix_id,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


class Deliveries:
    """The queue of one endpoint. Without a `url` an event is made, counted and goes nowhere."""

    def __init__(
        self, *, secret: str, url: str | None = None, retry_schedule: Sequence[float] = RETRY_SCHEDULE
    ) -> None:
        self.secret = secret
        self.url = url
        self.retry_schedule = tuple(retry_schedule)
        self.attempts: deque[Attempt] = deque(maxlen=LOG_LENGTH)
        self._queue: list[Delivery] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._stopped = False
        self._generation = 0
        self._thread = threading.Thread(target=self._run, name="devclerk-webhooks", daemon=True)
        self._thread.start()

    def send(self, event: Mapping[str, Any], *, svix_id: str, faults: Faults = NO_FAULTS) -> None:
        """Put an event on its way."""
        if self.url is None or faults.drop:
            return
        body = json.dumps(event).encode()
        with self._wake:
            due = time.monotonic() + faults.delay
            for _ in range(faults.copies):
                copy = Delivery(due, next(self._numbers), svix_id, str(event["type"]), body, faults)
                self._push(copy)
            if not faults.reorder:
                self._let_go(due)
            self._wake.notify()

    def reset(self) -> None:
        """Forget what is on its way and what has been."""
        with self._wake:
            self._generation += 1
            self._queue.clear()
            self.attempts.clear()

    def stop(self) -> None:
        """End the thread after the attempt it is making."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join(ATTEMPT_SECONDS)

    def _push(self, delivery: Delivery) -> None:
        if delivery.faults.reorder and not delivery.attempts:
            delivery.due += REORDER_SECONDS
        heapq.heappush(self._queue, delivery)

    def _let_go(self, due: float) -> None:
        """Make the events held back due right after the one that is due then."""
        for delivery in self._queue:
            if delivery.faults.reorder and not delivery.attempts:
                delivery.due, delivery.number = min(delivery.due, due), next(self._numbers)
        heapq.heapify(self._queue)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy has no business on the loopback
            while (taken := self._take()) is not None:
                delivery, generation = taken
                attempt = self._attempt(session, delivery)
                with self._wake:
                    if generation == self._generation:
                        self.attempts.append(attempt)
                        self._schedule_again(delivery, status=attempt.status)

    def _take(self) -> tuple[Delivery, int] | None:
        with self._wake:
            while not self._stopped:
                wait = self._queue[0].due - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue), self._generation
                self._wake.wait(wait)
        return None

    def _attempt(self, session: requests.Session, delivery: Delivery) -> Attempt:
        faults = delivery.faults
        at = time.time() - (STALE_SECONDS if faults.stale else 0)
        headers = signed_headers(
            delivery.body, secret=self.secret, svix_id=delivery.svix_id, at=at, good=not faults.bad_signature
        )
        delivery.attempts += 1
        status, answer = None, "no answer"
        try:
            response = session.post(
                str(self.url),
                data=delivery.body,
                headers=headers,
                timeout=ATTEMPT_SECONDS,
                allow_redirects=False,
            )
            status, answer = response.status_code, response.text[:300]
        except requests.RequestException as error:
            answer = type(error).__name__
        return Attempt(
            svix_id=delivery.svix_id,
            type=delivery.type,
            number=delivery.attempts,
            status=status,
            answer=answer,
        )

    def _schedule_again(self, delivery: Delivery, *, status: int | None) -> None:
        done = status is not None and 200 <= status < 300  # noqa: PLR2004 - Svix: a 2xx and nothing else
        if done or delivery.attempts > len(self.retry_schedule):
            return
        delivery.due = time.monotonic() + self.retry_schedule[delivery.attempts - 1]
        delivery.number = next(self._numbers)
        self._push(delivery)
