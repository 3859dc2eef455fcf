"""Webhooks as Svix sends them for Clerk: signed, retried on a schedule, and faulty on demand.

One background thread makes one delivery at a time, so that only a fault changes the order.
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
from devclerk.web import loopback_session

# Svix: from a failed attempt to the next one.
RETRY_SCHEDULE_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
ATTEMPT_SECONDS = 15.0  # Svix: an attempt without an answer has failed after this
STALE_SECONDS = 600  # twice the tolerance of Svix's verification
REORDER_SECONDS = 3.0  # the longest that a reordered event waits for another one
ATTEMPTS_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One delivery attempt; `status` is None without an answer."""

    svix_id: str
    type: str
    number: int
    status: int | None
    answer: str


@dataclass(order=True, slots=True)
class Delivery:
    """One copy of a message in the queue, ordered by `due` (monotonic seconds)."""

    due: float
    number: int
    svix_id: str = field(compare=False)
    type: str = field(compare=False)
    body: bytes = field(compare=False)
    faults: Faults = field(compare=False)
    attempts: int = field(default=0, compare=False)


def new_webhook_secret() -> str:
    """Return a new signing secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def signed_headers(
    body: bytes, *, secret: str, svix_id: str, at: float | None = None, good: bool = True
) -> dict[str, str]:
    """Return Svix's headers for a body, signed at `at` (seconds since the epoch; default now).

    Unless `good`, the signature is made with another secret.
    """
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
    """The queue of one endpoint. Without a `url` nothing is sent."""

    def __init__(
        self,
        *,
        secret: str,
        url: str | None = None,
        retry_schedule: Sequence[float] = RETRY_SCHEDULE_SECONDS,
        attempt_seconds: float = ATTEMPT_SECONDS,
        reorder_seconds: float = REORDER_SECONDS,
    ) -> None:
        self.secret = secret
        self.url = url
        self.retry_schedule = tuple(retry_schedule)
        self._attempt_seconds = attempt_seconds
        self._reorder_seconds = reorder_seconds
        self.attempts: deque[Attempt] = deque(maxlen=ATTEMPTS_KEPT)
        self._queue: list[Delivery] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._stopped = False
        self._generation = 0
        self._thread = threading.Thread(target=self._run, name="devclerk-webhooks", daemon=True)
        self._thread.start()

    def send(self, event: Mapping[str, Any], *, svix_id: str, faults: Faults = NO_FAULTS) -> None:
        """Queue an event."""
        if self.url is None or faults.drop:
            return
        body = json.dumps(event).encode()
        with self._wake:
            due = time.monotonic() + faults.delay
            for _ in range(faults.copies):
                copy = Delivery(due, next(self._numbers), svix_id, str(event["type"]), body, faults)
                self._push(copy)
            if not faults.reorder:
                self._release_reordered(due)
            self._wake.notify()

    def reset(self) -> None:
        """Empty the queue and forget all attempts."""
        with self._wake:
            self._generation += 1
            self._queue.clear()
            self.attempts.clear()

    def stop(self) -> None:
        """End the thread after its current attempt."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join(self._attempt_seconds)

    def _push(self, delivery: Delivery) -> None:
        if delivery.faults.reorder and not delivery.attempts:
            delivery.due += self._reorder_seconds
        heapq.heappush(self._queue, delivery)

    def _release_reordered(self, due: float) -> None:
        """Schedule the reordered events right after the event that is due then."""
        for delivery in self._queue:
            if delivery.faults.reorder and not delivery.attempts:
                delivery.due, delivery.number = min(delivery.due, due), next(self._numbers)
        heapq.heapify(self._queue)

    def _run(self) -> None:
        with loopback_session() as session:
            while (next_one := self._next_due()) is not None:
                delivery, generation = next_one
                attempt = self._attempt(session, delivery)
                with self._wake:
                    if generation == self._generation:
                        self.attempts.append(attempt)
                        self._schedule_retry(delivery, status=attempt.status)

    def _next_due(self) -> tuple[Delivery, int] | None:
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
        try:
            response = session.post(
                str(self.url),
                data=delivery.body,
                headers=headers,
                timeout=self._attempt_seconds,
                allow_redirects=False,
            )
            status, answer = response.status_code, response.text[:300]
        except requests.RequestException as error:
            status, answer = None, type(error).__name__
        return Attempt(
            svix_id=delivery.svix_id,
            type=delivery.type,
            number=delivery.attempts,
            status=status,
            answer=answer,
        )

    def _schedule_retry(self, delivery: Delivery, *, status: int | None) -> None:
        done = status is not None and 200 <= status < 300  # noqa: PLR2004 - Svix: any 2xx
        if done or delivery.attempts > len(self.retry_schedule):
            return
        delivery.due = time.monotonic() + self.retry_schedule[delivery.attempts - 1]
        delivery.number = next(self._numbers)
        self._push(delivery)
