"""Scrub: erase the personal data of deleted rows; the rows and the foreign keys to them stay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from accounts.db import write_alias
from accounts.models import User

BATCH_ROWS = 1_000
PREFIX = "scrubbed-"
EMPTY: dict[str, Any] = {
    "email": None,
    "email_verified": False,
    "first_name": "",
    "last_name": "",
    "image_url": "",
    "field_versions": {},
}


def get_unscrubbed(*, deleted_before: datetime) -> QuerySet[User]:
    """Return the rows that were deleted before this time and still hold personal data."""
    done = {"username__startswith": PREFIX, "username__endswith": Cast(F("pk"), CharField())}
    return User.objects.filter(deleted_at__lt=deleted_before).exclude(**done, **EMPTY)


def scrub(*, deleted_before: datetime) -> int:
    """Erase the personal data of these rows in batches, and return the number of rows.

    The keys, the deletion and all foreign keys to the row stay. The username is replaced too, since staff
    choose theirs, and so is the name in the admin's history. The new username cannot be guessed, so that no
    other user can take it first. Raises django.db.Error.
    """
    scrubbed = 0
    while ids := list(
        get_unscrubbed(deleted_before=deleted_before).values_list("pk", flat=True)[:BATCH_ROWS]
    ):
        with transaction.atomic(using=write_alias()):
            # The UPDATE repeats the condition: a row may be restored between the two statements.
            scrubbed += User.objects.filter(pk__in=ids, deleted_at__lt=deleted_before).update(
                **EMPTY,
                username=Concat(Value(f"{PREFIX}{token_hex(8)}-"), Cast(F("pk"), CharField())),
                password=make_password(None),
            )
            _erase_names_in_history(ids)
    return scrubbed


def _erase_names_in_history(ids: Iterable[UUID]) -> None:
    kinds = ContentType.objects.db_manager(router.db_for_write(ContentType))
    entries = LogEntry.objects.filter(
        content_type=kinds.get_for_model(User), object_id__in=[str(pk) for pk in ids]
    )
    entries.filter(~Q(object_repr__startswith=PREFIX)).update(
        object_repr=Concat(Value(PREFIX), F("object_id"))
    )
