"""What the parts of the stand-in are asked, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from devclerk.people import NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `query` holds every value of a name, headers answer to small letters."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def one(self, name: str, default: str = "") -> str:
        """Give the first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def json_object(self) -> dict[str, Any]:
        """Give the JSON object in the body (nothing: an empty one). Raise `ValueError`."""
        body = json.loads(self.body or b"{}")
        if not isinstance(body, dict):
            raise ValueError("The body must be a JSON object.")  # noqa: TRY004 - one error for a body of no use
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, *, status: int = 200, headers: Mapping[str, str] = NOTHING) -> Self:
        """Answer in JSON."""
        return cls(body=json.dumps(value).encode(), status=status, headers=headers)

    @classmethod
    def refusal(cls, detail: str, *, status: int) -> Self:
        """Answer with one sentence that says why not."""
        return cls.json({"detail": detail}, status=status)
