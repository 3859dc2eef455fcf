"""The checks of the identity model and of the project's user model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import models
from django.utils.module_loading import import_string

from accounts.adapter import can_feed, get_email_column
from accounts.apps import AccountsConfig
from accounts.clerk.profiles import FIELDS
from accounts.conf import settings
from accounts.models import AbstractClerkIdentity, ClerkAccount, get_identity_model, is_user_model

LABEL = AccountsConfig.label


@register(LABEL)
def check_identity(**_: object) -> list[CheckMessage]:
    """Check which model stores the identities, and how users of another model are created and written."""
    if not _is_valid_pair():
        return [
            Error(
                "CLERK_IDENTITY_MODEL and AUTH_USER_MODEL do not fit together: exactly one of the user model"
                " and ClerkAccount must store the Clerk identities.",
                hint="Remove CLERK_IDENTITY_MODEL. Only if your user model inherits AbstractClerkIdentity,"
                " set it to the same name as AUTH_USER_MODEL.",
                id=f"{LABEL}.E017",
            )
        ]
    if is_user_model():
        return []
    return [*_check_user_fields(), *_check_create_user(), *_check_columns()]


def _is_valid_pair() -> bool:
    user: type[Any] = get_user_model()
    try:
        identity = get_identity_model()
    except (LookupError, ValueError):
        return False
    is_own = issubclass(user, AbstractClerkIdentity)
    return identity is user if is_own else identity is ClerkAccount


def _check_user_fields() -> Iterator[CheckMessage]:
    wanted = settings.CLERK_USER_FIELDS
    if wanted is not None and not isinstance(wanted, Mapping):
        yield Error(
            "CLERK_USER_FIELDS is no dictionary.",
            hint='Write which field of Clerk feeds which column: {"email": "email", "first_name": "name"}.',
            id=f"{LABEL}.E018",
        )
        return
    for field, column in (wanted or {}).items():
        if not can_feed(field, column=column):
            yield Error(
                f"CLERK_USER_FIELDS maps {field!r} to {column!r}, which cannot be written.",
                hint="The key is Clerk's field, the value your column."
                f" The fields of Clerk are {', '.join(FIELDS)}. The column must be one of your user"
                " model, a text for a text or a boolean for a boolean, and none of the rights.",
                id=f"{LABEL}.E018",
            )


def _check_create_user() -> Iterator[CheckMessage]:
    path = settings.CLERK_CREATE_USER
    try:
        is_function = not path or callable(import_string(path))
    except (ImportError, TypeError, AttributeError):
        is_function = False
    if not is_function:
        yield Error(
            "CLERK_CREATE_USER names no function that can be imported: no new user can sign in.",
            hint="Write its dotted path. It gets the saved identity and returns an unsaved user.",
            id=f"{LABEL}.E019",
        )


def _check_columns() -> Iterator[CheckMessage]:
    if get_email_column() is None:
        yield Warning(
            "The user model has no column for an e-mail address: `link_users` can only match by external_id.",
            hint="Set EMAIL_FIELD of the user model to the name of its column, if it has one.",
            id=f"{LABEL}.W006",
        )
    if settings.CLERK_CREATE_USER:
        return
    demanded = [field.name for field in get_user_model()._meta.concrete_fields if _is_demanded(field)]
    if demanded:
        yield Warning(
            f"The user model demands values that Clerk does not have: {', '.join(demanded)}. A new user"
            " cannot be created, and each first request is 503.",
            hint="Give these columns defaults, or set CLERK_CREATE_USER to a function that sets them.",
            id=f"{LABEL}.W007",
        )


def _is_demanded(field: models.Field[Any, Any]) -> bool:
    """Return whether a row without a value for this column cannot be stored, or only one such row."""
    user = get_user_model()
    is_text = isinstance(field, models.CharField | models.TextField)
    if field.name == user.USERNAME_FIELD:
        return not is_text
    is_filled = field.name in {get_email_column(), "password"} or getattr(field, "auto_now_add", False)
    if field.primary_key or field.null or is_filled or getattr(field, "auto_now", False):
        return False
    has_default = (
        field.has_default() or getattr(field, "db_default", models.NOT_PROVIDED) is not models.NOT_PROVIDED
    )
    return not has_default and (field.unique or not is_text)
