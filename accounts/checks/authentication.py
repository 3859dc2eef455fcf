"""The check of the order of REST framework's authentication classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.utils.module_loading import import_string

from accounts.apps import AccountsConfig

LABEL = AccountsConfig.label


@register(LABEL)
def check_authentication(**_: object) -> list[CheckMessage]:
    """Check the default classes of REST framework; views with classes of their own are not known here."""
    classes = list(_default_classes())
    if not classes:
        return []
    from accounts.authentication import ClerkAuthentication  # noqa: PLC0415 - REST framework may be missing

    ours = [number for number, each in enumerate(classes) if issubclass(each, ClerkAuthentication)]
    base = ClerkAuthentication.__mro__[1]
    # The first class decides between 401 and 403. Without a challenge, its answer is 403.
    silent = [each for each in classes[: min(ours, default=0)] if _challenge(each) is _challenge(base)]
    if not silent:
        return []
    return [
        Warning(
            f"{silent[0].__name__} stands before ClerkAuthentication in DEFAULT_AUTHENTICATION_CLASSES: a"
            " refused token is 403 instead of 401, and its session wins over a token.",
            hint="Put ClerkAuthentication first, also in views with `authentication_classes` of their own.",
            id=f"{LABEL}.W010",
        )
    ]


def _default_classes() -> Iterator[type[Any]]:
    configured = getattr(settings, "REST_FRAMEWORK", None) or {}
    for each in configured.get("DEFAULT_AUTHENTICATION_CLASSES", ()):
        try:
            found = import_string(each) if isinstance(each, str) else each
        except ImportError:
            continue  # REST framework reports it
        if isinstance(found, type):
            yield found


def _challenge(authentication: type[Any]) -> object:
    return getattr(authentication, "authenticate_header", None)
