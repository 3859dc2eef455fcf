"""The columns of the project's user model, and which of them Clerk's values feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from accounts.clerk.profiles import FIELDS
from accounts.conf import settings
from accounts.models import get_identity_model

# Clerk manages no permissions of this database.
NEVER_FED = frozenset({"password", "is_active", "is_staff", "is_superuser"})


def find_column(name: str) -> Any:
    """Return the field of the user model with this name if it is a column, or None."""
    try:
        field = get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if getattr(field, "concrete", False) else None


def get_email_column() -> str | None:
    """Return the name of the user model's column for the e-mail address, or None if it has none."""
    name = get_user_model().get_email_field_name()
    return name if find_column(name) else None


def get_user_fields() -> dict[str, str]:
    """Return which field of Clerk feeds which column of the user; names that no column has are left out.

    Without CLERK_USER_FIELDS these are the e-mail address and the names. A system check reports wrong names.
    """
    wanted = settings.CLERK_USER_FIELDS
    if not isinstance(wanted, Mapping):
        address = get_user_model().get_email_field_name()
        wanted = {"email": address, "first_name": "first_name", "last_name": "last_name"}
    return {field: column for field, column in wanted.items() if can_feed(field, column=column)}


def can_feed(field: str, *, column: str) -> bool:
    """Return whether a field of Clerk can be written to the column: text to text, a boolean to a boolean."""
    target = find_column(column)
    if field not in FIELDS or target is None or target.primary_key or column in NEVER_FED:
        return False
    source = get_identity_model()._meta.get_field(field)
    is_flag = isinstance(source, models.BooleanField)
    return isinstance(target, models.BooleanField if is_flag else models.CharField | models.TextField)


def read_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Clerk's values by column of the user; the address is left out unless it is verified."""
    is_verified = bool(values["email"] and values["email_verified"])
    return {
        column: values[field]
        for field, column in get_user_fields().items()
        if field != "email" or is_verified
    }


def fits(column: str, value: object) -> bool:
    """Return whether the value is short enough; SQLite would store any text."""
    limit = find_column(column).max_length
    return limit is None or not isinstance(value, str) or len(value) <= limit


def fill_required_address(user: Any) -> None:
    """Set a unique placeholder if the user's table demands an address and there is none."""
    column = get_email_column()
    if column is None or getattr(user, column):
        return
    field = find_column(column)
    if not field.null and (_is_unique(field) or not field.blank):
        setattr(user, column, f"{uuid4().hex}@clerk.invalid")


def get_empty_value(column: str) -> Any:
    """Return the value of a column without a value of Clerk; null can be in several rows of a unique one."""
    field = find_column(column)
    if isinstance(field, models.BooleanField):
        return False
    return None if field.null else field.get_default() or ""


def _is_unique(field: Any) -> bool:
    """Return whether the column, or a constraint on it alone, refuses a second row with its value."""
    return field.unique or any(
        isinstance(each, models.UniqueConstraint)
        and each.condition is None
        and _get_columns(each) == {field.name}
        for each in field.model._meta.constraints
    )


def _get_columns(constraint: models.UniqueConstraint) -> set[str]:
    """Return the columns of a constraint, of its expressions too, such as Lower("email")."""
    found, expressions = set(constraint.fields), list(constraint.expressions)
    while expressions:
        expression: Any = expressions.pop()
        if isinstance(expression, models.F):
            found.add(expression.name)  # type: ignore[attr-defined] # the stubs omit it
        else:
            expressions += [each for each in expression.get_source_expressions() if each is not None]
    return found
