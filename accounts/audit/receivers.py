"""The receivers of Django's signals about passwords: each sign-in, sign-out and failure is a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.audit.log import SecurityEvent, client_address, describe, hash_name, log_event


@receiver(user_logged_in, dispatch_uid=__name__)
def log_login(sender: Any, *, request: HttpRequest | None, user: Any, **_: object) -> None:
    """Log a sign-in with a password."""
    log_event(SecurityEvent.SIGNED_IN, address=client_address(request), **describe(user))


@receiver(user_logged_out, dispatch_uid=__name__)
def log_logout(sender: Any, *, request: HttpRequest | None, user: Any, **_: object) -> None:
    """Log the end of a session."""
    if user is not None:
        log_event(SecurityEvent.SIGNED_OUT, address=client_address(request), **describe(user))


@receiver(user_login_failed, dispatch_uid=__name__)
def log_failure(
    sender: Any, *, credentials: Mapping[str, Any], request: HttpRequest | None = None, **_: object
) -> None:
    """Log a wrong user name or password."""
    name = credentials.get("username", credentials.get(get_user_model().USERNAME_FIELD, ""))
    log_event(SecurityEvent.SIGN_IN_FAILED, address=client_address(request), username_hash=hash_name(name))
