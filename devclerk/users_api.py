"""The users endpoints of Clerk's Backend API; each needs the secret key."""

from __future__ import annotations

import hmac
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from devclerk.directory import Directory, UnknownUser
from devclerk.refusals import PlannedFailure, Refused, allow, failure_answer, refuse_parameter
from devclerk.user_writes import ACTIONS, metadata_changes, profile_changes
from devclerk.users import ClerkUser
from devclerk.web import Answer, Request
from devclerk.wire import deleted_object, user_object

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
            return failure_answer(failure)
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
            allow(request, "GET")
            return Answer.json([user_object(user) for user in self._select(request)])
        if request.path == "/v1/users/count":
            allow(request, "GET")
            where = _predicate(request)
            total = len(self._directory.list_users(where=where)) if where else len(self._directory)
            return Answer.json({"object": "total_count", "total_count": total})
        if match := re.fullmatch(r"/v1/users/([^/]+)(?:/(\w+))?", request.path):
            try:
                return self._one(request, user_id=unquote(match[1]), part=match[2])
            except UnknownUser:
                message = "No user was found with that id."
                raise Refused(HTTPStatus.NOT_FOUND, "resource_not_found", message) from None
        raise _url_not_found()

    def _one(self, request: Request, *, user_id: str, part: str | None) -> Answer:
        user = self._directory.get(user_id)
        if user is None:
            raise UnknownUser
        if part is None:
            return self._profile(request, user)
        if part == "metadata":
            allow(request, "PATCH", "PUT")
            changes = metadata_changes(request, user)
        elif part in ACTIONS:
            allow(request, "POST")
            changes = dict(ACTIONS[part])
        else:
            raise _url_not_found()
        return Answer.json(user_object(self._directory.update(user, **changes)))

    def _profile(self, request: Request, user: ClerkUser) -> Answer:
        allow(request, "GET", "PATCH", "DELETE")
        if request.method == "DELETE":
            self._directory.delete(user)
            return Answer.json(deleted_object(user))
        if request.method == "PATCH":
            user = self._directory.update(user, **profile_changes(request))
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
                refuse_parameter("starting_after", "must be the id of a user and needs an offset of 0.")
        return self._directory.list_users(
            after=after, offset=offset, limit=limit, descending=descending, where=where
        )

    def _sorted(
        self, name: str, *, descending: bool, where: Callable[[ClerkUser], bool] | None, cursor: str
    ) -> list[ClerkUser]:
        if name not in ORDERINGS:
            refuse_parameter("order_by", "is not an ordering that the emulator knows.")
        if cursor:
            refuse_parameter("starting_after", "needs the order of created_at.")
        return sorted(self._directory.list_users(where=where), key=ORDERINGS[name], reverse=descending)


def _url_not_found() -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, "url_not_found", "The emulator does not serve this address.")


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
            refuse_parameter(name, "is a filter that the emulator does not know.")
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
        refuse_parameter(name, "must be a whole number.")
    return int(text)
