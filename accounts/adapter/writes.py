"""The writes to the project's user: each by the user's own `save`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, transaction
from django.utils.module_loading import import_string

from accounts.adapter.columns import (
    fill_required_address,
    find_column,
    fits,
    get_empty_value,
    get_user_fields,
    read_columns,
)
from accounts.adapter.rows import clear_rights, get_user, is_staff, users
from accounts.clerk.profiles import FIELDS
from accounts.clerk.unexpected import log_unexpected
from accounts.conf import settings
from accounts.db import UserNotCreated, write_alias
from accounts.models import CreatedVia, is_user_model, opaque_username

# The database or the connection failed: nothing is wrong with the value or with the project's code.
OUTAGES = (OperationalError, InterfaceError)
NOT_ACCEPTED = (IntegrityError, DataError, ValidationError)

logger = logging.getLogger(__name__)


def create_user(identity: Any) -> tuple[str, ...]:
    """Create the user of a saved identity; return the columns that did not accept Clerk's value.

    Raises UserNotCreated if the project's code fails or its table refuses the user, and django.db.Error.
    """
    if is_user_model():
        return ()
    try:
        user, refused = _create_user(identity)
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001 - the project's code, or what its table demands
        log_unexpected(logger, "The user of an identity could not be created", error=error)
        raise UserNotCreated from None
    type(identity).objects.filter(pk=identity.pk).update(user=user)
    identity.user = user
    if identity.banned:
        deactivate_user(identity)
    return refused


def write_user(identity: Any, *, before: Mapping[str, Any]) -> tuple[str, ...]:
    """Write what has changed in an identity to its user; `before` holds the old values of all fields.

    Returns the columns that did not accept Clerk's value. Raises django.db.Error.
    """
    user = None if is_user_model() else get_user(identity)
    if user is None:
        return ()
    old, new = read_columns(before), read_columns(_read_values(identity))
    changed = {column: value for column, value in new.items() if column not in old or old[column] != value}
    if identity.banned and not before["banned"]:
        deactivate_user(identity)
    return _write(user, changed)


def deactivate_user(identity: Any) -> None:
    """Deactivate the user of an identity that Clerk has deleted or banned, if CLERK_DEACTIVATE_USERS is on.

    Raises django.db.Error.
    """
    user = get_user(identity) if settings.CLERK_DEACTIVATE_USERS and not is_user_model() else None
    if user is None or find_column("is_active") is None or not user.is_active:
        return
    user.is_active = False
    _save_in_any_case(user, columns=["is_active"])


def link_user(user: Any, identity: Any, *, keep_password: bool) -> None:
    """Link a user to the new, unsaved identity of a Clerk user; only empty columns are filled.

    Raises django.db.Error.
    """
    if not keep_password:
        user.set_unusable_password()
    columns = [] if keep_password else ["password"]
    if is_user_model():
        user.clerk_id = identity.clerk_id
        user.save(update_fields=["clerk_id", "updated_at", *columns])
        return
    if columns:
        user.save(update_fields=columns)
    identity.user, identity.created_via = user, CreatedVia.LINK
    identity.save(force_insert=True)
    values = read_columns(_read_values(identity))
    _write(user, {column: value for column, value in values.items() if value and not getattr(user, column)})
    if identity.banned:
        deactivate_user(identity)


def scrub_user(identity: Any) -> bool:
    """Erase Clerk's values and the rights of a user that we created; return False for any other user.

    Kept as they are: users that were linked, that have a password, or that are staff. Raises django.db.Error.
    """
    user = get_user(identity)
    if user is None:
        return True
    if identity.created_via == CreatedVia.LINK or user.has_usable_password() or is_staff(user):
        return False
    columns = list(get_user_fields().values())
    for column in columns:
        setattr(user, column, get_empty_value(column))
    if find_column("last_login"):
        user.last_login = None
        columns.append("last_login")
    fill_required_address(user)
    clear_rights([user.pk])
    _save_in_any_case(user, columns=columns)
    return True


def _read_values(identity: Any) -> dict[str, Any]:
    return {field: getattr(identity, field) for field in FIELDS}


def _create_user(identity: Any) -> tuple[Any, tuple[str, ...]]:
    values = read_columns(_read_values(identity))
    fitting = {column: value for column, value in values.items() if fits(column, value)}
    too_long = tuple(values.keys() - fitting.keys())
    try:
        return _save_new_user(identity, values=fitting), too_long
    except NOT_ACCEPTED:
        # Perhaps one of the values: save the user without them, then try each of them.
        user = _save_new_user(identity, values={})
    return user, (*too_long, *_write(user, fitting))


def _save_new_user(identity: Any, *, values: Mapping[str, Any]) -> Any:
    """Save the user that the project builds for an identity, with these values in its empty columns."""
    model, path = get_user_model(), settings.CLERK_CREATE_USER
    with transaction.atomic(using=write_alias()):
        user = import_string(path)(identity) if path else model()
        if not isinstance(user, model) or not user._state.adding:  # noqa: SLF001 - documented
            raise TypeError("CLERK_CREATE_USER must return an unsaved user")
        for column, value in values.items():
            if not getattr(user, column):
                setattr(user, column, value)
        fill_required_address(user)
        if not user.get_username():
            limit = find_column(model.USERNAME_FIELD).max_length or 0
            setattr(user, model.USERNAME_FIELD, opaque_username()[-limit:])
        user.set_unusable_password()
        user.save()
    return user


def _save_in_any_case(user: Any, *, columns: Sequence[str]) -> None:
    """Save these columns, without the user's own `save` if that fails. Raises django.db.Error."""
    try:
        with transaction.atomic(using=write_alias()):
            user.save(update_fields=columns)
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001 - the project's `save` or receiver must not keep the old value
        log_unexpected(logger, "A user could not be deactivated or erased by its own save", error=error)
        users().filter(pk=user.pk).update(**{column: getattr(user, column) for column in columns})


def _write(user: Any, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Save each value in its column; return the columns that did not accept it."""
    refused = [column for column, value in values.items() if not fits(column, value)]
    for column, value in values.items():
        if column in refused:
            continue
        old = getattr(user, column)
        setattr(user, column, value)
        try:
            with transaction.atomic(using=write_alias()):
                user.save(update_fields=[column])
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - the project's constraint, `save` or receiver
            if not isinstance(error, NOT_ACCEPTED):
                log_unexpected(logger, "A value could not be written to the user", error=error)
            setattr(user, column, old)
            refused.append(column)
    return tuple(refused)
