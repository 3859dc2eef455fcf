"""Clerk's Backend API, as far as users go: one page, one person, the count.

    ClerkAPIError       whatever went wrong: `status`, Clerk's `code`, `trace_id`

Only commands and admin actions call it; a request that is being served never does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from accounts.clerk.outgoing import NOT_FROM_CLERK, USER_AGENT, read_error
from accounts.clerk.payloads import read_payload
from accounts.clerk.retries import patience as patience_of

API_VERSION = "2025-04-10"
DEFAULT_URL = "https://api.clerk.com"
PAGE_SIZE = 500  # Clerk's maximum; one more silently gives ten rows
OFFSET_OVERLAP = 50  # deletions during an offset walk move later people forward by so many rows
CUT_ANSWERS_MAX = 3
FOREIGN = "not_from_clerk"  # the code of an answer that something else gave


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
        """Return whether Clerk gave the answer: not a firewall or proxy, and not the lack of any answer."""
        return self.status is not None and (self.code != FOREIGN or self.trace_id is not None)

    @property
    def concerns_all(self) -> bool:
        """Return whether another request would fail in the same way now."""
        ours = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
        return (
            self.status is None
            or not self.is_from_clerk
            or self.status in ours
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
    """Users as Clerk sent them (nothing about their shape is promised) and when, in ms of Clerk's clock.

    `cursor` is the id after which the next page begins; None when this page names nobody.
    """

    users: list[Any]
    answered_at: int | None
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserAnswer:
    """One user, or None because Clerk says that there is none, and when it said so (ms of Clerk's clock)."""

    user: dict[str, Any] | None
    answered_at: int | None


class ClerkAPI:
    """Ask the Backend API. Every method raises `ClerkAPIError` and nothing else.

    `timeout` bounds each wait for the network, `patience` how long 5xx answers and lost connections are
    tried again; both in seconds. Without patience there is one more try, at once, and no 429 is sat out.
    """

    def __init__(
        self,
        secret_key: str,
        *,
        base_url: str = DEFAULT_URL,
        timeout: float = 20.0,
        patience: float = 30.0,
    ) -> None:
        if not secret_key.isascii() or not secret_key.isprintable() or " " in secret_key or not secret_key:
            raise ValueError(
                "CLERK_SECRET_KEY must be one word of printable characters (sk_live_... or sk_test_...)."
            )
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        # A callable, so that a .netrc entry for the host cannot put its own credentials in the key's place.
        self._session.auth = _Bearer(secret_key)
        self._session.headers["Clerk-API-Version"] = API_VERSION
        self._session.headers["Accept"] = "application/json"
        self._session.headers["User-Agent"] = USER_AGENT
        adapter = HTTPAdapter(max_retries=patience_of(seconds=patience))
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def iter_users(self, *, starting_after: str | None = None) -> Iterator[UsersPage]:
        """Yield every user in pages, oldest first, from the one after `starting_after`.

        A cursor that Clerk refuses (its user is gone) is replaced by offsets that overlap, from the start of
        what this walk has seen; then people may come twice.
        """
        cursor, seen = starting_after, 0
        used = {cursor}
        while True:
            try:
                page = self._page({"starting_after": cursor} if cursor else {})
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
            page = self._page({"offset": str(offset)})
            yield page
            if len(page.users) < PAGE_SIZE:
                return
            _next_cursor(page, used=used)
            offset += PAGE_SIZE - OFFSET_OVERLAP

    def _page(self, position: Mapping[str, str]) -> UsersPage:
        params = {"limit": str(PAGE_SIZE), "order_by": "+created_at", **position}
        response = self._get("/v1/users", params=params)
        users = _body(response)
        if not isinstance(users, list):
            raise ClerkAPIError(status=response.status_code, code="unexpected_answer")
        return UsersPage(users=users, answered_at=_answered_at(response), cursor=_last_id(users))

    def count(self) -> int:
        """Return how many users the instance has."""
        response = self._get("/v1/users/count")
        body = _body(response)
        total = body.get("total_count") if isinstance(body, dict) else None
        if not isinstance(total, int) or isinstance(total, bool):
            raise ClerkAPIError(status=response.status_code, code="unexpected_answer")
        return total

    def find_user(self, clerk_id: str) -> UserAnswer:
        """Ask for one user. Only Clerk's own "not found" counts as gone; a 404 of a proxy is an error."""
        if not clerk_id.strip("."):  # "", "." and ".." would name another address
            return UserAnswer(user=None, answered_at=None)
        response = self._get(f"/v1/users/{quote(clerk_id, safe='')}", missing_is_answer=True)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return UserAnswer(user=None, answered_at=_answered_at(response))
        user = _body(response)
        if not isinstance(user, dict) or user.get("id") != clerk_id:
            raise ClerkAPIError(status=response.status_code, code="unexpected_answer")
        return UserAnswer(user=user, answered_at=_answered_at(response))

    def get_user(self, clerk_id: str) -> dict[str, Any] | None:
        """Return one user as Clerk sent it, None when Clerk says that there is none."""
        return self.find_user(clerk_id).user

    def jwks(self) -> list[Any]:
        """Return the public keys of the instance that the secret key belongs to."""
        response = self._get("/v1/jwks")
        body = _body(response)
        keys = body.get("keys") if isinstance(body, dict) else None
        if not isinstance(keys, list):
            raise ClerkAPIError(status=response.status_code, code="unexpected_answer")
        return keys

    def _get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        missing_is_answer: bool = False,
    ) -> requests.Response:
        response = self._send(path, params)
        if response.status_code == HTTPStatus.OK:
            return response
        error = _error_of(response)
        if (
            missing_is_answer
            and response.status_code == HTTPStatus.NOT_FOUND
            and error.code.endswith("not_found")
        ):
            return response
        raise error

    def _send(self, path: str, params: Mapping[str, str] | None) -> requests.Response:
        """Return the answer, whatever its status. No redirect is followed: the key goes to no other host."""
        for _ in range(CUT_ANSWERS_MAX):
            try:
                return self._session.get(
                    self._base_url + path,
                    params=params,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            except requests.exceptions.ChunkedEncodingError:
                continue  # cut off inside the body, where urllib3 no longer tries again
            except requests.RequestException as error:
                # The exception's text may hold headers: only the name of its class goes on.
                raise ClerkAPIError(status=None, code=type(error).__name__) from None
        raise ClerkAPIError(status=None, code="answer_cut_off")


class _Bearer(requests.auth.AuthBase):
    def __init__(self, secret_key: str) -> None:
        self._value = f"Bearer {secret_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def _body(response: requests.Response) -> object:
    try:
        return read_payload(response.content)
    except ValueError:
        raise ClerkAPIError(status=response.status_code, code=FOREIGN) from None


def _error_of(response: requests.Response) -> ClerkAPIError:
    error = read_error(response.content)
    return ClerkAPIError(status=response.status_code, code=error.code or FOREIGN, trace_id=error.trace_id)


def _answered_at(response: requests.Response) -> int | None:
    """Read the Date header, in ms."""
    try:
        return int(parsedate_to_datetime(response.headers["Date"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _last_id(users: list[Any]) -> str | None:
    ids = (user.get("id") for user in reversed(users) if isinstance(user, dict))
    return next((found for found in ids if isinstance(found, str) and found), None)


def _next_cursor(page: UsersPage, *, used: set[str | None]) -> str:
    """Return where the next page begins; a place where the walk has been already would go on for ever."""
    if page.cursor is None or page.cursor in used:
        raise ClerkAPIError(status=200, code="pages_do_not_advance")
    used.add(page.cursor)
    return page.cursor
