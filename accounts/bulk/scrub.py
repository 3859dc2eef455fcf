"""Scrub: erase the personal data of deleted rows; the rows and the foreign keys to them stay.

If the user of a row is another row of the project, only a user that we created, and that cannot sign in by
any other way, loses the values that came from Clerk (`accounts.adapter.scrub_user`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from secrets import token_hex
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from accounts.adapter import get_user, scrub_user
from accounts.clerk.fields import COLUMNS
from accounts.db import write_alias
from accounts.models import get_identity_model, is_user_model

BATCH_ROWS = 1_000
PREFIX = "scrubbed-"
EMPTY: dict[str, Any] = {
    **{name: field.empty for name, field in COLUMNS.items() if field.is_personal},
    "extra": {},
    "field_versions": {},
}


class Scrubbed(NamedTuple):
    """How many rows lost their personal data, and how many users of the project were kept as they are."""

    rows: int
    kept_users: int


def get_unscrubbed(*, deleted_before: datetime) -> QuerySet[Any]:
    """Return the rows that were deleted before this time and still hold personal data."""
    done = dict(EMPTY)
    if name := _get_name_column():
        done |= {f"{name}__startswith": PREFIX, f"{name}__endswith": Cast(F("pk"), CharField())}
    rows: QuerySet[Any] = get_identity_model().objects.filter(deleted_at__lt=deleted_before)
    return rows.exclude(**done)


def scrub(*, deleted_before: datetime) -> Scrubbed:
    """Erase the personal data of these rows in batches.

    The keys, the deletion and all foreign keys to the row stay. The username is replaced too, since staff
    choose theirs, and so is the name in the admin's history. The new username cannot be guessed, so that no
    other user can take it first. Raises django.db.Error.
    """
    stored = get_identity_model().objects
    scrubbed = kept = 0
    while ids := list(
        get_unscrubbed(deleted_before=deleted_before).values_list("pk", flat=True)[:BATCH_ROWS]
    ):
        with transaction.atomic(using=write_alias()):
            if not is_user_model():
                kept += _scrub_users(stored.filter(pk__in=ids, deleted_at__lt=deleted_before))
            # The UPDATE repeats the condition: a row may be restored between the two statements.
            rows = stored.filter(pk__in=ids, deleted_at__lt=deleted_before)
            scrubbed += rows.update(**EMPTY, **_new_names())
            _erase_names_in_history(get_identity_model(), ids=ids)
    return Scrubbed(scrubbed, kept)


def _scrub_users(rows: QuerySet[Any]) -> int:
    """Scrub the users of these rows and return how many were kept."""
    users = {get_user(row): scrub_user(row) for row in rows.select_for_update() if get_user(row)}
    scrubbed = [user.pk for user, is_scrubbed in users.items() if is_scrubbed]
    _erase_names_in_history(get_user_model(), ids=scrubbed)
    return len(users) - len(scrubbed)


def _get_name_column() -> str | None:
    """Return the column of the user name, if the rows are users that have one besides the address."""
    name: str = get_user_model().USERNAME_FIELD
    return name if is_user_model() and name not in EMPTY else None


def _new_names() -> dict[str, Any]:
    if not is_user_model():
        return {}
    name = _get_name_column()
    random = Concat(Value(f"{PREFIX}{token_hex(8)}-"), Cast(F("pk"), CharField()))
    return {"password": make_password(None)} | ({name: random} if name else {})


def _erase_names_in_history(model: type[Any], *, ids: Iterable[Any]) -> None:
    if not apps.is_installed("django.contrib.admin"):
        return
    kinds = ContentType.objects.db_manager(router.db_for_write(ContentType))
    entries = apps.get_model("admin", "LogEntry").objects.filter(
        content_type=kinds.get_for_model(model), object_id__in=[str(pk) for pk in ids]
    )
    entries.filter(~Q(object_repr__startswith=PREFIX)).update(
        object_repr=Concat(Value(PREFIX), F("object_id"))
    )
