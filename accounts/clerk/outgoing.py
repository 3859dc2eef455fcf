"""Requests to Clerk: their User-Agent, and whether Clerk gave the answer.

Some firewalls refuse the default User-Agent of an HTTP library. Firewalls, proxies and captive portals answer
in Clerk's place: such an answer is not a refusal by Clerk, and proves nothing about the keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounts.clerk.payloads import read_payload

# `make version` writes it: an installed copy has no pyproject.toml.
VERSION = "1.0.0"
USER_AGENT = f"django-clerk-sync/{VERSION}"
MAX_IDENTIFIER_CHARACTERS = 100
NOT_FROM_CLERK = (
    "Something between this machine and Clerk (a firewall or proxy) gave this answer. Let requests from this "
    f"machine with the User-Agent {USER_AGENT} pass there"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """An error of Clerk; `code` is None if the answer does not have the shape of Clerk's errors."""

    code: str | None
    trace_id: str | None


def read_error(body: bytes) -> ErrorBody:
    """Read `{errors: [{code}], clerk_trace_id}`, but no messages: they may quote personal data."""
    try:
        document = read_payload(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return ErrorBody(code=None, trace_id=None)
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return ErrorBody(code=_identifier(code), trace_id=_identifier(document.get("clerk_trace_id")))


def _identifier(value: object) -> str | None:
    """Return a code or an id; None for other text, which may hold personal data."""
    if not isinstance(value, str) or len(value) > MAX_IDENTIFIER_CHARACTERS:
        return None
    return value if value.replace("_", "").replace("-", "").isalnum() else None
