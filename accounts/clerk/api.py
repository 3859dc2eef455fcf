"""The client of Clerk's Backend API: all users in pages, one user, their number, the public keys.

    ClerkAPIError       there was no usable answer: `status`, Clerk's `code`, `trace_id`

Only commands and admin actions call the Backend API. API requests and webhooks never do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from accounts.clerk.outgoing import NOT_FROM_CLERK, USER_AGENT, read_error
from accounts.clerk.payloads import read_payload
from accounts.clerk.retries import Retries
from accounts.clerk.times import parse_http_date

API_VERSION = "2026-05-12"
DEFAULT_URL = "https://api.clerk.com"
PAGE_SIZE = 500  # Clerk's maximum; for a larger number Clerk returns ten rows, and no error
OFFSET_OVERLAP = 50  # between pages by offset, up to so many deletions skip no user
FOREIGN = "not_from_clerk"  # the code of an answer that Clerk did not give

Body = TypeVar("Body", list[Any], dict[str, Any])


class ClerkAPIError(Exception):
    """The Backend API gave no usable answer. The text holds no key and no personal data."""

    def __init__(self, *, status: int | None, code: str, trace_id: str | None = None) -> None:
        self.status = status
        self.code = code
        self.trace_id = trace_id
        super().__init__(status, code, trace_id)

    def __str__(self) -> str:
        answer = f"answered {self.status}" if self.status else "gave no answer"
        address = "Clerk's Backend API" if self.is_from_clerk or not self.status else "CLERK_API_URL"
        trace = f", trace {self.trace_id}" if self.trace_id else ""
        return f"{address} {answer} ({self.code}{trace}). {self.next_step}"

    @property
    def is_from_clerk(self) -> bool:
        """Return whether there is an answer, and Clerk gave it: not a firewall or proxy."""
        return self.status is not None and (self.code != FOREIGN or self.trace_id is not None)

    @property
    def concerns_all(self) -> bool:
        """Return whether a request for another user would fail in the same way now."""
        key_statuses = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
        return (
            self.status is None
            or not self.is_from_clerk
            or self.status in key_statuses
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def next_step(self) -> str:
        """Return what the operator can do about it."""
        if self.status is None:
            return "Check the network, the proxy and CLERK_API_URL, then try again."
        if not self.is_from_clerk:
            return _next_step_behind_proxy(self.status)
        if self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return "Check that CLERK_SECRET_KEY is the secret key of this instance (Dashboard, API keys)."
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            return "Another program uses up the rate limit of this secret key; try again later."
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "See https://status.clerk.com, then try again."
        return "Check CLERK_API_URL; if it is right, give the trace id to Clerk's support."


def _next_step_behind_proxy(status: int) -> str:
    step = f"{NOT_FROM_CLERK}, and check CLERK_API_URL."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"{step} Clerk has not seen the secret key."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{step} During an outage of Clerk (https://status.clerk.com) try again later."
    return step


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersPage:
    """One page of users, whose shape is not checked, and the time of the answer in ms (Clerk's clock).

    `cursor` is the id after which the next page begins; None for a page without any id.
    """

    users: list[Any]
    answered_at: int | None
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAnswer:
    """One user, or None if there is none in Clerk, and the time of the answer in ms (Clerk's clock)."""

    user: dict[str, Any] | None
    answered_at: int | None


class ClerkAPI:
    """A client for one secret key. Its methods raise `ClerkAPIError` and nothing else.

    `timeout` bounds each wait for the network, `patience` the retries: see `Retries`. Both are in seconds, as
    are `clock` and `sleep`. Raises ValueError for a key that no HTTP header can carry.
    """

    def __init__(
        self,
        secret_key: str,
        *,
        base_url: str = DEFAULT_URL,
        timeout: float = 20.0,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not secret_key.isascii() or not secret_key.isprintable() or " " in secret_key or not secret_key:
            raise ValueError(
                "CLERK_SECRET_KEY must be one word of printable characters (sk_live_... or sk_test_...)."
            )
        self._base_url = base_url.rstrip("/")
        self._timeout, self._patience = timeout, patience
        self._clock, self._sleep = clock, sleep
        self._session = requests.Session()

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {secret_key}"
            return request

        # A header of the session would be replaced by the credentials that a .netrc file has for the host.
        self._session.auth = authorize
        self._session.headers["Clerk-API-Version"] = API_VERSION
        self._session.headers["Accept"] = "application/json"
        self._session.headers["User-Agent"] = USER_AGENT

    def iter_users(self, *, starting_after: str | None = None) -> Iterator[UsersPage]:
        """Yield every user in pages, oldest first, from the one after the id `starting_after`.

        Clerk refuses a cursor whose user is deleted: then overlapping offsets continue, and some users come
        twice. The offsets count from the first page of this call.
        """
        cursor, seen = starting_after, 0
        used = {cursor}
        while True:
            try:
                page = self._get_page({"starting_after": cursor} if cursor else {})
            except ClerkAPIError as error:
                if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or cursor is None:
                    raise
                yield from self._iter_by_offset(max(0, seen - OFFSET_OVERLAP))
                return
            seen += len(page.users)
            yield page
            if len(page.users) < PAGE_SIZE:
                return
            cursor = _next_cursor(page, used=used)

    def _iter_by_offset(self, offset: int) -> Iterator[UsersPage]:
        used: set[str | None] = {None}
        while True:
            page = self._get_page({"offset": str(offset)})
            yield page
            if len(page.users) < PAGE_SIZE:
                return
            _next_cursor(page, used=used)
            offset += PAGE_SIZE - OFFSET_OVERLAP

    def _get_page(self, position: Mapping[str, str]) -> UsersPage:
        params = {"limit": str(PAGE_SIZE), "order_by": "+created_at", **position}
        response = self._send("/v1/users", params=params)
        users = _parse_body(response, list)
        return UsersPage(users=users, answered_at=_answered_at(response), cursor=_last_id(users))

    def count(self) -> int:
        """Return how many users the instance has."""
        response = self._send("/v1/users/count")
        total = _parse_body(response, dict).get("total_count")
        if not isinstance(total, int) or isinstance(total, bool):
            raise _unexpected(response)
        return total

    def find_user(self, clerk_id: str) -> UserAnswer:
        """Return the user, None only for Clerk's own "not found"; a 404 of a proxy raises like any error."""
        if not clerk_id.strip("."):  # "", "." and ".." would be another address
            return UserAnswer(user=None, answered_at=None)
        response = self._send(f"/v1/users/{quote(clerk_id, safe='')}")
        if _is_not_found(response):
            return UserAnswer(user=None, answered_at=_answered_at(response))
        user = _parse_body(response, dict)
        if user.get("id") != clerk_id:
            raise _unexpected(response)
        return UserAnswer(user=user, answered_at=_answered_at(response))

    def get_jwks(self) -> list[Any]:
        """Return the public keys of the secret key's instance, as entries of a JWKS."""
        response = self._send("/v1/jwks")
        keys = _parse_body(response, dict).get("keys")
        if not isinstance(keys, list):
            raise _unexpected(response)
        return keys

    def _send(self, path: str, *, params: Mapping[str, str] | None = None) -> requests.Response:
        """Return the final answer, whatever its status; raise ClerkAPIError without one.

        No redirect is followed: no other host may get the key.
        """
        retries = Retries(patience=self._patience, clock=self._clock)
        while True:
            try:
                with self._session.get(
                    self._base_url + path,
                    params=params,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    wait = retries.after_answer(response)
                    if wait is None:
                        _ = response.content  # keeps the body, or raises if it is cut off
                        return response
            except requests.RequestException as error:
                wait = retries.after_error(error)
                if wait is None:
                    is_cut_off = isinstance(error, requests.exceptions.ChunkedEncodingError)
                    # Not the text of the error, which may hold headers.
                    code = "answer_cut_off" if is_cut_off else type(error).__name__
                    raise ClerkAPIError(status=None, code=code) from None
            self._sleep(wait)


def _parse_body(response: requests.Response, kind: type[Body]) -> Body:
    """Return the body of an answer with status 200; raise ClerkAPIError for any other answer."""
    if response.status_code != HTTPStatus.OK:
        error = read_error(response.content)
        raise ClerkAPIError(status=response.status_code, code=error.code or FOREIGN, trace_id=error.trace_id)
    try:
        body = read_payload(response.content)
    except ValueError:
        raise ClerkAPIError(status=response.status_code, code=FOREIGN) from None
    if not isinstance(body, kind):
        raise _unexpected(response)
    return body


def _unexpected(response: requests.Response) -> ClerkAPIError:
    return ClerkAPIError(status=response.status_code, code="unexpected_answer")


def _is_not_found(response: requests.Response) -> bool:
    code = read_error(response.content).code if response.status_code == HTTPStatus.NOT_FOUND else None
    return code is not None and code.endswith("not_found")


def _answered_at(response: requests.Response) -> int | None:
    """Return the time of the Date header in ms, or None."""
    seconds = parse_http_date(response.headers.get("Date"))
    return None if seconds is None else int(seconds * 1000)


def _last_id(users: list[Any]) -> str | None:
    ids = (user.get("id") for user in reversed(users) if isinstance(user, dict))
    return next((found for found in ids if isinstance(found, str) and found), None)


def _next_cursor(page: UsersPage, *, used: set[str | None]) -> str:
    """Return the cursor of the next page; raise ClerkAPIError for one that would repeat a page for ever."""
    if page.cursor is None or page.cursor in used:
        raise ClerkAPIError(status=200, code="pages_do_not_advance")
    used.add(page.cursor)
    return page.cursor
