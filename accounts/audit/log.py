"""The lines of the audit log: constant messages and structured fields, without names and e-mail addresses."""

from __future__ import annotations

import ipaddress
import logging
from enum import StrEnum
from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from accounts.conf import settings

logger = logging.getLogger("security")
# Enough to tell names apart, too short to be worth keeping.
HASH_LENGTH = 16


class SecurityEvent(StrEnum):
    """The message of each line."""

    SIGNED_IN = "Signed in"
    SIGNED_OUT = "Signed out"
    SIGN_IN_FAILED = "Sign-in failed"
    SIGN_IN_LIMITED = "Too many sign-ins"
    RIGHTS_CHANGED = "Rights changed"
    PASSWORD_CHANGED = "Password changed"  # noqa: S105 - a message
    USER_CHANGED = "User changed"
    USER_ACTION = "Action on a user"
    USER_EXPORTED = "User exported"
    USERS_ERASED = "Personal data erased"


FAILURES = frozenset({SecurityEvent.SIGN_IN_FAILED, SecurityEvent.SIGN_IN_LIMITED})


def log_event(event: SecurityEvent, *, request: HttpRequest | None = None, **fields: object) -> None:
    """Write the line of an event, with the operator and the address of the request, if there is one."""
    if request is not None:
        operator = getattr(request, "user", None)
        fields = {"operator": str(operator.pk) if operator and operator.pk else None, **fields}
        fields["address"] = client_address(request)
    logger.log(logging.WARNING if event in FAILURES else logging.INFO, event.value, extra=fields)


def log_after_commit(event: SecurityEvent, *, request: HttpRequest, using: str, **fields: object) -> None:
    """Write the line when the transaction of this database is committed."""
    transaction.on_commit(partial(log_event, event, request=request, **fields), using=using)


def describe(row: Any) -> dict[str, Any]:
    """Return the fields that identify a row: its key, and its Clerk id if it has one."""
    return {"user": str(row.pk), "clerk_id": getattr(row, "clerk_id", None)}


def hash_name(name: object) -> str:
    """Return a hash of a user name: equal for equal names, and of no use without DJANGO_SECRET_KEY."""
    return salted_hmac("security", str(name), algorithm="sha256").hexdigest()[:HASH_LENGTH]


def client_address(request: HttpRequest | None) -> str:
    """Return the address of the client: that of the connection, or what the proxy names in a header.

    The header is CLIENT_ADDRESS_HEADER. Of several addresses the last counts, which the nearest proxy has
    added: a client can send the others itself.
    """
    if request is None:
        return ""
    header = settings.CLIENT_ADDRESS_HEADER
    named = request.headers.get(header, "").rpartition(",")[2].strip() if header else ""
    try:
        return str(ipaddress.ip_address(named))
    except ValueError:
        return str(request.META.get("REMOTE_ADDR", ""))
