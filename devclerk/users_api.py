"""The users endpoints of Clerk's Backend API; each needs the secret key."""

from __future__ import annotations

import hmac
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from devclerk.directory import Directory, UnknownUser
from devclerk.users import ClerkUser
from devclerk.web import Answer, Request
from devclerk.wire import deleted_object, error_object, user_object

REQUESTS_KEPT = 10_000
MAX_LIMIT = 500
DEFAULT_LIMIT = 10  # also for a limit out of range, as in Clerk
ORDERINGS: Mapping[str, Callable[[ClerkUser], Any]] = {
    "updated_at": lambda user: user.updated_at,
    "email_address": lambda user: user.email or "",
    "first_name": lambda user: user.first_name or "",
    "last_name": lambda user: user.last_name or "",
}
# The value that each filter compares.
FILTERS: Mapping[str, Callable[[ClerkUser], str | None]] = {
    "user_id": lambda user: user.id,
    "email_address": lambda user: user.email,
    "external_id": lambda user: user.external_id,
}
BOUNDS: Mapping[str, Callable[[ClerkUser, int], bool]] = {
    "created_at_after": lambda user, at: user.created_at > at,
    "created_at_before": lambda user, at: user.created_at < at,
}
PAGING = {"limit", "offset", "order_by", "starting_after"}
WRITABLE = {"first_name", "last_name", "external_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFailure:
    """An error that replaces one answer; `retry_after` in seconds."""

    status: int
    retry_after: int | None = None


class Refused(Exception):
    """A request that Clerk refuses, with the error of its answer."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def answer(self) -> Answer:
        """Return the answer in Clerk's format."""
        return Answer.json(error_object(self.code, message=self.message), status=self.status)


class UsersAPI:
    """Answers requests to /v1/users and records them in `requests`."""

    def __init__(self, directory: Directory, *, secret_key: str) -> None:
        self._directory = directory
        self._secret_key = secret_key
        self._lock = threading.Lock()
        self._planned_failures: deque[PlannedFailure] = deque()
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT)

    def reset(self) -> None:
        """Forget planned failures and requests."""
        with self._lock:
            self._planned_failures.clear()
            self.requests.clear()

    def plan_failures(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests with this status."""
        with self._lock:
            self._planned_failures.extend([PlannedFailure(status=status, retry_after=retry_after)] * times)

    def answer(self, request: Request) -> Answer:
        """Answer in Clerk's format, errors included."""
        with self._lock:
            self.requests.append(request)
            failure = self._planned_failures.popleft() if self._planned_failures else None
        if failure:
            return _failure_answer(failure)
        try:
            self.check_key(request)
            return self._route(request)
        except Refused as refused:
            return refused.answer()

    def check_key(self, request: Request) -> None:
        """Raise `Refused` unless the request carries the secret key."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            message = "The Authorization header must be 'Bearer <secret key>'."
            raise Refused(HTTPStatus.UNAUTHORIZED, "authorization_header_format_invalid", message)
        if not hmac.compare_digest(key.encode(), self._secret_key.encode()):
            raise Refused(HTTPStatus.UNAUTHORIZED, "clerk_key_invalid", "The secret key is not right.")

    def _route(self, request: Request) -> Answer:
        if request.path == "/v1/users":
            _allow(request, "GET")
            return Answer.json([user_object(user) for user in self._select(request)])
        if request.path == "/v1/users/count":
            _allow(request, "GET")
            where = _predicate(request)
            total = len(self._directory.list_users(where=where)) if where else len(self._directory)
            return Answer.json({"object": "total_count", "total_count": total})
        if match := re.fullmatch(r"/v1/users/([^/]+)", request.path):
            _allow(request, "GET", "PATCH", "DELETE")
            try:
                return self._one(request, user_id=unquote(match[1]))
            except UnknownUser:
                message = "No user was found with that id."
                raise Refused(HTTPStatus.NOT_FOUND, "resource_not_found", message) from None
        raise Refused(HTTPStatus.NOT_FOUND, "url_not_found", "The emulator does not serve this address.")

    def _one(self, request: Request, *, user_id: str) -> Answer:
        user = self._directory.get(user_id)
        if user is None:
            raise UnknownUser
        if request.method == "DELETE":
            self._directory.delete(user)
            return Answer.json(deleted_object(user))
        if request.method == "PATCH":
            user = self._directory.update(user, **_writable(request))
        return Answer.json(user_object(user))

    def _select(self, request: Request) -> list[ClerkUser]:
        limit, offset = _limit(request), _whole(request, "offset")
        order = request.one("order_by", "-created_at")
        descending, name = order.startswith("-"), order.lstrip("+- ")  # a bare plus in a query is a blank
        cursor, where = request.one("starting_after"), _predicate(request)
        if name != "created_at":
            users = self._sorted(name, descending=descending, where=where, cursor=cursor)
            return users[offset : offset + limit]
        after = None
        if cursor:
            after = self._directory.get(cursor)
            if after is None or offset:
                _refuse_parameter("starting_after", "must be the id of a user and needs an offset of 0.")
        return self._directory.list_users(
            after=after, offset=offset, limit=limit, descending=descending, where=where
        )

    def _sorted(
        self, name: str, *, descending: bool, where: Callable[[ClerkUser], bool] | None, cursor: str
    ) -> list[ClerkUser]:
        if name not in ORDERINGS:
            _refuse_parameter("order_by", "is not an ordering that the emulator knows.")
        if cursor:
            _refuse_parameter("starting_after", "needs the order of created_at.")
        return sorted(self._directory.list_users(where=where), key=ORDERINGS[name], reverse=descending)


def _predicate(request: Request) -> Callable[[ClerkUser], bool] | None:
    """Return the condition of the filters, or None without any. Raise `Refused` for an unknown filter."""
    conditions: list[Callable[[ClerkUser], bool]] = []
    for name, values in request.query.items():
        if name in FILTERS:
            conditions.append(_is_one_of(FILTERS[name], set(values)))
        elif name in BOUNDS:
            conditions.append(_is_beyond(BOUNDS[name], _whole(request, name)))
        elif name == "banned":
            conditions.append(_is_one_of(lambda user: str(user.banned).lower(), {values[0]}))
        elif name not in PAGING:
            _refuse_parameter(name, "is a filter that the emulator does not know.")
    return (lambda user: all(holds(user) for holds in conditions)) if conditions else None


def _is_one_of(value: Callable[[ClerkUser], str | None], wanted: set[str]) -> Callable[[ClerkUser], bool]:
    return lambda user: value(user) in wanted


def _is_beyond(bound: Callable[[ClerkUser, int], bool], at: int) -> Callable[[ClerkUser], bool]:
    return lambda user: bound(user, at)


def _limit(request: Request) -> int:
    text = request.one("limit", str(DEFAULT_LIMIT))
    limit = int(text) if text.isascii() and text.isdigit() else 0
    return limit if 1 <= limit <= MAX_LIMIT else DEFAULT_LIMIT


def _whole(request: Request, name: str) -> int:
    text = request.one(name, "0")
    if not (text.isascii() and text.isdigit()):
        _refuse_parameter(name, "must be a whole number.")
    return int(text)


def _writable(request: Request) -> dict[str, Any]:
    try:
        fields = request.json_object()
    except ValueError:
        message = "The body must be a JSON object."
        raise Refused(HTTPStatus.BAD_REQUEST, "request_body_invalid", message) from None
    for name, value in fields.items():
        if name not in WRITABLE or not isinstance(value, str | None):
            _refuse_parameter(name, "cannot be set to this value.")
    return fields


def _refuse_parameter(name: str, problem: str) -> None:
    message = f"{name} {problem}"
    raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "form_param_value_invalid", message)


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        message = f"{request.method} is not allowed for this address."
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message)


def _failure_answer(failure: PlannedFailure) -> Answer:
    headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
    throttled = failure.status == HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests" if throttled else "internal_clerk_error"
    return Answer.json(
        error_object(code, message="A planned failure."), status=failure.status, headers=headers
    )
