"""Refusals of Clerk's APIs: an exception with the error of the answer, and planned failures."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

from devclerk.web import Answer, Request
from devclerk.wire import error_object


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


def refuse_parameter(name: str, problem: str) -> NoReturn:
    """Refuse a parameter as Clerk does."""
    message = f"{name} {problem}"
    raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "form_param_value_invalid", message)


def allow(request: Request, *methods: str) -> None:
    """Refuse other methods than these."""
    if request.method not in methods:
        message = f"{request.method} is not allowed for this address."
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message)


def failure_answer(failure: PlannedFailure) -> Answer:
    """Return the answer of a planned failure."""
    headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
    throttled = failure.status == HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests" if throttled else "internal_clerk_error"
    return Answer.json(
        error_object(code, message="A planned failure."), status=failure.status, headers=headers
    )
