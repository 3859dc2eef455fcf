"""Who may read more than one word about our health."""

from __future__ import annotations

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare


def may_read_details(request: HttpRequest) -> bool:
    """Tell whether the request carries HEALTH_TOKEN, or comes from staff signed in to the admin."""
    return _has_token(request) or _is_staff(request)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not settings.HEALTH_TOKEN:
        return False
    return constant_time_compare(token.strip(), settings.HEALTH_TOKEN)


def _is_staff(request: HttpRequest) -> bool:
    # A request without a session cookie never came so far in as to have a user (`ProbeMiddleware`).
    user = getattr(request, "user", None)
    try:
        return bool(user is not None and user.is_active and user.is_staff)
    except Error:
        # No session can be read without the database, and the report is wanted most when it is away.
        return False
