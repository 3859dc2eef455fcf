"""Limit the attempts to sign in with a password, before the password is hashed.

A hash takes a third of a second of a thread: strangers who send user names and passwords could keep every
thread of the API busy. The limits hold for each process.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers

from accounts.audit import SecurityEvent, client_address, describe, hash_name, log_event

WINDOW_SECONDS = 60
MAX_FAILURES_PER_USER_AND_ADDRESS = 5
MAX_FAILURES = 30
MAX_CONCURRENT_HASHES = 2
# A hash ends within a second.
BUSY_RETRY_SECONDS = 1
# No longer than the column; longer names share the limit of their beginning.
MAX_NAME_LENGTH = 254


class TooManyLogins(Exception):
    """The password is not checked now: too many logins failed, or too many hashes are running."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many logins")
        self.retry_after = retry_after


@dataclass(eq=False, slots=True)
class Attempt:
    """One check of a password. It counts while it runs, and for a minute if `failed` is set."""

    user_and_address: tuple[str, str]
    started_at: float
    failed: bool = False


class LoginLimiter:
    """Count failed logins of the last minute and running hashes. Thread-safe.

    It holds at most `MAX_FAILURES` attempts, so that strangers cannot fill the memory with names.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts: deque[Attempt] = deque()
        self._running = 0

    @contextmanager
    def attempt(self, username: str, *, address: str) -> Iterator[Attempt]:
        """Permit one check of a password; the caller sets `failed`. Raise TooManyLogins beyond a limit."""
        attempt = self._start((username[:MAX_NAME_LENGTH], address))
        try:
            yield attempt
        finally:
            self._end(attempt)

    def clear(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._attempts.clear()

    def _start(self, user_and_address: tuple[str, str]) -> Attempt:
        with self._lock:
            now = self._clock()
            while self._attempts and self._attempts[0].started_at <= now - WINDOW_SECONDS:
                self._attempts.popleft()
            own = [each for each in self._attempts if each.user_and_address == user_and_address]
            if len(own) >= MAX_FAILURES_PER_USER_AND_ADDRESS:
                raise TooManyLogins(_seconds_left(own[0], now=now))
            if len(self._attempts) >= MAX_FAILURES:
                raise TooManyLogins(_seconds_left(self._attempts[0], now=now))
            if self._running >= MAX_CONCURRENT_HASHES:
                raise TooManyLogins(BUSY_RETRY_SECONDS)
            attempt = Attempt(user_and_address, now)
            self._attempts.append(attempt)
            self._running += 1
            return attempt

    def _end(self, attempt: Attempt) -> None:
        with self._lock:
            self._running -= 1
            if not attempt.failed:
                with suppress(ValueError):  # it ran for more than a minute
                    self._attempts.remove(attempt)


def _seconds_left(attempt: Attempt, *, now: float) -> int:
    return math.ceil(attempt.started_at + WINDOW_SECONDS - now)


login_limiter = LoginLimiter()


class LoginLimitMiddleware:
    """Answer TooManyLogins with 429, and guard the page on which local staff change their own password.

    Place it after the middleware of sessions, CSRF and authentication.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Return the response of the view."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Count a wrong old password as a failed login; leave any other view to Django.

        Raises Http404 for a user of Clerk, who signs in with Clerk alone.
        """
        match = request.resolver_match
        if match is None or match.view_name != "admin:password_change":
            return None
        if getattr(request.user, "clerk_id", None) is not None:
            raise Http404
        return self._change_password(request, view, args, kwargs) if request.method == "POST" else None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the 429 for TooManyLogins, None for any other exception."""
        return _too_many_requests(request, exception) if isinstance(exception, TooManyLogins) else None

    def _change_password(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Any, kwargs: Any
    ) -> HttpResponseBase:
        username = request.user.get_username()
        try:
            with login_limiter.attempt(username, address=client_address(request)) as attempt:
                response = view(request, *args, **kwargs)
                form = (getattr(response, "context_data", None) or {}).get("form")
                attempt.failed = form is not None and "old_password" in form.errors
        except TooManyLogins as refusal:
            return _too_many_requests(request, refusal)
        if attempt.failed:
            log_event(SecurityEvent.SIGN_IN_FAILED, request=request, username_hash=hash_name(username))
        elif form is None and request.user.is_authenticated:
            log_event(SecurityEvent.PASSWORD_CHANGED, request=request, **describe(request.user))
        return response


def _too_many_requests(request: HttpRequest, refusal: TooManyLogins) -> HttpResponse:
    # Without the user of the request, whose session a query would load.
    log_event(SecurityEvent.SIGN_IN_LIMITED, address=client_address(request))
    response = HttpResponse(
        f"Too many attempts to sign in. Wait {refusal.retry_after} s and try again.\n",
        status=429,
        headers={"Retry-After": str(refusal.retry_after)},
        content_type="text/plain; charset=utf-8",
    )
    add_never_cache_headers(response)
    return response
