"""The users part of Clerk's Backend API, for whoever has the secret key."""

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

from devclerk.directory import Directory, UnknownPerson
from devclerk.people import Person
from devclerk.web import Answer, Request
from devclerk.wire import deleted_object, error_object, user_object

REQUESTS_KEPT = 10_000
LIMIT_MAX = 500
LIMIT_DEFAULT = 10  # also what a limit out of range gives (Clerk)
ORDERINGS: Mapping[str, Callable[[Person], Any]] = {
    "updated_at": lambda person: person.updated_at,
    "email_address": lambda person: person.email or "",
    "first_name": lambda person: person.first_name or "",
    "last_name": lambda person: person.last_name or "",
}
# What a filter compares its values with.
FILTERS: Mapping[str, Callable[[Person], str | None]] = {
    "user_id": lambda person: person.id,
    "email_address": lambda person: person.email,
    "external_id": lambda person: person.external_id,
}
BOUNDS: Mapping[str, Callable[[Person, int], bool]] = {
    "created_at_after": lambda person, at: person.created_at > at,
    "created_at_before": lambda person, at: person.created_at < at,
}
PAGING = {"limit", "offset", "order_by", "starting_after"}
WRITABLE = {"first_name", "last_name", "external_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An answer that stands in for the real one; `retry_after` in seconds."""

    status: int
    retry_after: int | None = None


class Refused(Exception):
    """A request that Clerk would refuse."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class UsersAPI:
    """Answers /v1/users... and remembers what it was asked."""

    def __init__(self, directory: Directory, *, secret_key: str) -> None:
        self._directory = directory
        self._secret_key = secret_key
        self._lock = threading.Lock()
        self._troubles: deque[Trouble] = deque()
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT)

    def reset(self) -> None:
        """Forget troubles and requests."""
        with self._lock:
            self._troubles.clear()
            self.requests.clear()

    def fail(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests with this status."""
        with self._lock:
            self._troubles.extend([Trouble(status=status, retry_after=retry_after)] * times)

    def answer(self, request: Request) -> Answer:
        """Answer in Clerk's shapes, refusals included."""
        with self._lock:
            self.requests.append(request)
            trouble = self._troubles.popleft() if self._troubles else None
        if trouble:
            return _troubled(trouble)
        try:
            self.check_key(request)
            return self._route(request)
        except Refused as refused:
            return Answer.json(error_object(refused.code, message=refused.message), status=refused.status)

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
            return Answer.json([user_object(person) for person in self._select(request)])
        if request.path == "/v1/users/count":
            _allow(request, "GET")
            where = _predicate(request)
            total = len(self._directory.people(where=where)) if where else len(self._directory)
            return Answer.json({"object": "total_count", "total_count": total})
        if match := re.fullmatch(r"/v1/users/([^/]+)", request.path):
            _allow(request, "GET", "PATCH", "DELETE")
            try:
                return self._one(request, user_id=unquote(match[1]))
            except UnknownPerson:
                message = "No user was found with that id."
                raise Refused(HTTPStatus.NOT_FOUND, "resource_not_found", message) from None
        raise Refused(HTTPStatus.NOT_FOUND, "url_not_found", "The stand-in does not serve this address.")

    def _one(self, request: Request, *, user_id: str) -> Answer:
        person = self._directory.get(user_id)
        if person is None:
            raise UnknownPerson
        if request.method == "DELETE":
            self._directory.delete(person)
            return Answer.json(deleted_object(person))
        if request.method == "PATCH":
            person = self._directory.update(person, **_writable(request))
        return Answer.json(user_object(person))

    def _select(self, request: Request) -> list[Person]:
        limit, offset = _limit(request), _whole(request, "offset")
        order = request.one("order_by", "-created_at")
        descending, name = order.startswith("-"), order.lstrip("+- ")  # a bare plus in a query is a blank
        cursor, where = request.one("starting_after"), _predicate(request)
        if name != "created_at":
            people = self._sorted(name, descending=descending, where=where, cursor=cursor)
            return people[offset : offset + limit]
        after = None
        if cursor:
            after = self._directory.get(cursor)
            if after is None or offset:
                _refuse_parameter("starting_after", "must be the id of a user and needs an offset of 0.")
        return self._directory.people(
            after=after, offset=offset, limit=limit, descending=descending, where=where
        )

    def _sorted(
        self, name: str, *, descending: bool, where: Callable[[Person], bool] | None, cursor: str
    ) -> list[Person]:
        if name not in ORDERINGS:
            _refuse_parameter("order_by", "is not an ordering that the stand-in knows.")
        if cursor:
            _refuse_parameter("starting_after", "needs the order of created_at.")
        return sorted(self._directory.people(where=where), key=ORDERINGS[name], reverse=descending)


def _predicate(request: Request) -> Callable[[Person], bool] | None:
    """Give what the filters ask for, None without any; a filter that is not known must not pass for one."""
    conditions: list[Callable[[Person], bool]] = []
    for name, values in request.query.items():
        if name in FILTERS:
            conditions.append(_is_one_of(FILTERS[name], set(values)))
        elif name in BOUNDS:
            conditions.append(_is_beyond(BOUNDS[name], _whole(request, name)))
        elif name == "banned":
            conditions.append(_is_one_of(lambda person: str(person.banned).lower(), {values[0]}))
        elif name not in PAGING:
            _refuse_parameter(name, "is a filter that the stand-in does not know.")
    return (lambda person: all(holds(person) for holds in conditions)) if conditions else None


def _is_one_of(value: Callable[[Person], str | None], wanted: set[str]) -> Callable[[Person], bool]:
    return lambda person: value(person) in wanted


def _is_beyond(bound: Callable[[Person, int], bool], at: int) -> Callable[[Person], bool]:
    return lambda person: bound(person, at)


def _limit(request: Request) -> int:
    text = request.one("limit", str(LIMIT_DEFAULT))
    limit = int(text) if text.isascii() and text.isdigit() else 0
    return limit if 1 <= limit <= LIMIT_MAX else LIMIT_DEFAULT


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
            _refuse_parameter(name, "cannot be set to that here.")
    return fields


def _refuse_parameter(name: str, problem: str) -> None:
    message = f"{name} {problem}"
    raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "form_param_value_invalid", message)


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        message = f"{request.method} is not served here."
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message)


def _troubled(trouble: Trouble) -> Answer:
    headers = {} if trouble.retry_after is None else {"Retry-After": str(trouble.retry_after)}
    throttled = trouble.status == HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests" if throttled else "internal_clerk_error"
    return Answer.json(error_object(code, message="As ordered."), status=trouble.status, headers=headers)
