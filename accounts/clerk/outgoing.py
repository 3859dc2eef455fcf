"""Requests to Clerk: the name that they carry, and whether an answer is Clerk's own.

Firewalls refuse the default name of an HTTP library, and captive portals, proxies and firewalls answer in
Clerk's place. Such an answer says nothing about our keys, and must not be taken for a refusal by Clerk.
"""

from __future__ import annotations

from dataclasses import dataclass

from accounts.clerk.payloads import read_payload

VERSION = "0.1.0"  # the same as in pyproject.toml, which an installed copy does not have
USER_AGENT = f"django-clerk-sync/{VERSION}"
MAX_WORD_LENGTH = 100
NOT_FROM_CLERK = (
    "Something between this machine and Clerk (a firewall or proxy) gave this answer. Let requests from this "
    f"machine with the User-Agent {USER_AGENT} pass there"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """What an error of Clerk's says: `code` is None unless the answer has the shape of Clerk's errors."""

    code: str | None
    trace_id: str | None


def read_error(body: bytes) -> ErrorBody:
    """Read `{errors: [{code}], clerk_trace_id}`. Its messages may quote personal data and are left out."""
    try:
        document = read_payload(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return ErrorBody(code=None, trace_id=None)
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return ErrorBody(code=_word(code), trace_id=_word(document.get("clerk_trace_id")))


def _word(value: object) -> str | None:
    """Return a code or an id unchanged; None for free text, which may hold what must not be printed."""
    if not isinstance(value, str) or len(value) > MAX_WORD_LENGTH:
        return None
    return value if value.replace("_", "").replace("-", "").isalnum() else None
