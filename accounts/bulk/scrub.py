"""Scrub: take the personal data out of deleted people's rows, and leave the rows to their foreign keys."""

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

ROWS_AT_ONCE = 1_000
PREFIX = "scrubbed-"
EMPTY: dict[str, Any] = {
    "email": None,
    "email_verified": False,
    "first_name": "",
    "last_name": "",
    "image_url": "",
    "field_versions": {},
}


def to_scrub(*, deleted_before: datetime) -> QuerySet[User]:
    """Return the rows deleted before that moment that still hold personal data."""
    done = {"username__startswith": PREFIX, "username__endswith": Cast(F("pk"), CharField())}
    return User.objects.filter(deleted_at__lt=deleted_before).exclude(**done, **EMPTY)


def scrub(*, deleted_before: datetime) -> int:
    """Empty those rows, a batch at a time, and return how many there were.

    Id, Clerk id, the tombstone and whatever points to the row stay. The user name goes with the rest, since
    staff choose theirs, and so does the name under which the admin's history keeps the person. The new name
    can be guessed by nobody, who would else take it first.
    """
    scrubbed = 0
    while ids := list(to_scrub(deleted_before=deleted_before).values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        with transaction.atomic(using=write_alias()):
            # The condition stands in the UPDATE too: somebody may be restored between the two statements.
            scrubbed += User.objects.filter(pk__in=ids, deleted_at__lt=deleted_before).update(
                **EMPTY,
                username=Concat(Value(f"{PREFIX}{token_hex(8)}-"), Cast(F("pk"), CharField())),
                password=make_password(None),
            )
            _forget_names(ids)
    return scrubbed


def _forget_names(ids: Iterable[UUID]) -> None:
    kinds = ContentType.objects.db_manager(router.db_for_write(ContentType))
    entries = LogEntry.objects.filter(
        content_type=kinds.get_for_model(User), object_id__in=[str(pk) for pk in ids]
    )
    entries.filter(~Q(object_repr__startswith=PREFIX)).update(
        object_repr=Concat(Value(PREFIX), F("object_id"))
    )
