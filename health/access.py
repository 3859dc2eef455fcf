"""Who may read the details of the sync report and the metrics."""

from __future__ import annotations

from typing import Any

from django.db import Error
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.conf import settings
from accounts.db import retry_on_dead_connection


def may_read_details(request: HttpRequest) -> bool:
    """Return whether the request has HEALTH_TOKEN as bearer token or comes from staff in the admin."""
    return _has_token(request) or _is_staff(request)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not settings.HEALTH_TOKEN:
        return False
    return constant_time_compare(token.strip(), settings.HEALTH_TOKEN)


def _is_staff(request: HttpRequest) -> bool:
    # Without a session cookie, `ProbeMiddleware` calls the view before the request has a user.
    user = getattr(request, "user", None)
    try:
        return user is not None and retry_on_dead_connection(lambda: _may_use_admin(user))
    except Error:
        # Sessions are in the database. The view must still answer when the database is down.
        return False


def _may_use_admin(user: Any) -> bool:
    # A user model of a project without the admin has no `is_staff`.
    return bool(user.is_active and getattr(user, "is_staff", False))
