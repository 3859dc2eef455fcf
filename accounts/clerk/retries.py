"""The retries of one call of the Backend API."""

from __future__ import annotations

import random
from collections.abc import Callable
from http import HTTPStatus

import requests

from accounts.clerk.times import parse_http_date

RETRY_AFTER_MAX_SECONDS = 60.0
THROTTLED_MAX = 10  # answers with status 429
CUT_ANSWERS_MAX = 3
BACKOFF_SECONDS, BACKOFF_MAX_SECONDS, JITTER_SECONDS = 0.5, 8.0, 0.5
JITTER = random.SystemRandom()  # applications may seed the shared generator


class Retries:
    """The retries of one call: whether to try again, and after how many seconds.

    Server errors (5xx) and lost connections are retried until nothing else has come for `patience` seconds,
    a 429 after the time that it asks for, and an answer whose body is cut off at once. Without patience there
    is one retry, at once, and none after a 429. `clock` counts seconds.
    """

    def __init__(self, *, patience: float, clock: Callable[[], float]) -> None:
        self._patience, self._clock = patience, clock
        self._tries = self._throttled = self._cut = 0
        self._give_up_at: float | None = None

    def after_answer(self, answer: requests.Response) -> float | None:
        """Return the seconds until the next try; None if this answer is final. Its body is not read."""
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return self._after_throttling(answer)
        return self._after_failure() if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR else None

    def after_error(self, error: requests.RequestException) -> float | None:
        """Return the seconds until the next try; None if this error is final."""
        if isinstance(error, requests.exceptions.ChunkedEncodingError):  # the body is cut off
            self._cut += 1
            return 0.0 if self._cut < CUT_ANSWERS_MAX else None
        is_network_error = isinstance(error, requests.ConnectionError | requests.Timeout)
        return self._after_failure() if is_network_error else None

    def _after_throttling(self, answer: requests.Response) -> float | None:
        self._give_up_at = None
        self._throttled += 1
        if self._throttled > THROTTLED_MAX or not self._patience:
            return None
        return _retry_after(answer) or self._backoff()

    def _after_failure(self) -> float | None:
        now, backoff = self._clock(), self._backoff()
        if self._give_up_at is None:
            self._give_up_at = now + self._patience
        elif now >= self._give_up_at:
            return None
        return min(backoff, self._give_up_at - now)

    def _backoff(self) -> float:
        """Return the seconds until the next try: 0 at first, then 1, 2, 4 and 8, with a random addition."""
        seconds = BACKOFF_SECONDS * 2**self._tries + JITTER.uniform(0, JITTER_SECONDS) if self._tries else 0.0
        self._tries += 1
        return min(seconds, BACKOFF_MAX_SECONDS)


def _retry_after(answer: requests.Response) -> float:
    """Return the seconds of the Retry-After header, at most a minute; 0 if it is missing or malformed."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        until, now = parse_http_date(text), parse_http_date(answer.headers.get("Date"))
        seconds = 0.0 if until is None or now is None else until - now
    return max(0.0, min(seconds, RETRY_AFTER_MAX_SECONDS))
