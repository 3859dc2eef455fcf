"""How long to try again when Clerk is busy or unwell."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Self

from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

RETRY_AFTER_MAX = 60  # seconds; urllib3 alone would believe six hours
THROTTLED_MAX = 10


def patience(*, seconds: float) -> Patience:
    """Give up after so many seconds of nothing but 5xx answers and lost connections; sit a 429 out.

    With none: after one more try, which comes at once, and after a 429.
    """
    policy = Patience(
        total=None,
        status_forcelist=[HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)],
        allowed_methods=["GET"],
        backoff_factor=0.5,
        backoff_max=8,
        backoff_jitter=0.5,
        retry_after_max=RETRY_AFTER_MAX,
        raise_on_status=False,  # the last answer is wanted, for its trace id
    )
    policy.seconds = seconds
    return policy


class Patience(Retry):
    """A `Retry` that counts seconds where urllib3 counts attempts, and treats 429 apart."""

    seconds: float
    give_up_at: float | None = None

    def new(self, **changes: Any) -> Self:
        """Copy, as urllib3 does before each further attempt."""
        copy = super().new(**changes)
        copy.seconds, copy.give_up_at = self.seconds, self.give_up_at
        return copy

    def increment(self, *request: Any, **trouble: Any) -> Self:
        """Return the state for the next attempt, or end the attempts as urllib3 does."""
        now = time.monotonic()
        if _is_throttled(trouble.get("response")):
            throttled = sum(past.status == HTTPStatus.TOO_MANY_REQUESTS for past in self.history)
            over, give_up_at = throttled >= THROTTLED_MAX or not self.seconds, None
        else:
            over = self.give_up_at is not None and now >= self.give_up_at
            give_up_at = self.give_up_at or now + self.seconds
        retry = Retry.increment(self.new(total=0) if over else self, *request, **trouble)
        retry.give_up_at = give_up_at
        return retry

    def parse_retry_after(self, retry_after: str) -> float:
        """Read the header; one that makes no sense leaves the waiting to the backoff."""
        try:
            return super().parse_retry_after(retry_after)
        except InvalidHeader:
            return 0.0

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as a 429 asks, otherwise for the backoff, but not past the end of patience."""
        if _is_throttled(response):
            super().sleep(response)
        elif self.give_up_at is not None:
            left = self.give_up_at - time.monotonic()
            time.sleep(max(0.0, min(left, self.get_backoff_time())))


def _is_throttled(response: BaseHTTPResponse | None) -> bool:
    return response is not None and response.status == HTTPStatus.TOO_MANY_REQUESTS
