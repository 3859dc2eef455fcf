"""Requests and answers of the emulator, and the session of its own HTTP clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

import requests

from devclerk.users import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `query` holds every value of a name, names of headers are lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def one(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object in the body; an empty body is an empty object. Raise `ValueError`."""
        body = json.loads(self.body or b"{}")
        if not isinstance(body, dict):
            raise ValueError("The body must be a JSON object.")  # noqa: TRY004 - one error for every unusable body
        return body

    def form(self) -> dict[str, str]:
        """Return the fields of a URL-encoded body; the last value of a name counts. Raise `ValueError`."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; `cookies` are the values of its Set-Cookie headers."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()

    @classmethod
    def json(
        cls,
        value: object,
        *,
        status: int = 200,
        headers: Mapping[str, str] = EMPTY,
        cookies: tuple[str, ...] = (),
    ) -> Self:
        """Return an answer in JSON."""
        return cls(body=json.dumps(value).encode(), status=status, headers=headers, cookies=cookies)

    @classmethod
    def refusal(cls, detail: str, *, status: int) -> Self:
        """Return a refusal with its reason, one sentence."""
        return cls.json({"detail": detail}, status=status)


def loopback_session() -> requests.Session:
    """Return a session for loopback addresses: it ignores the proxies of the environment."""
    session = requests.Session()
    session.trust_env = False
    return session
