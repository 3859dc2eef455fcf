"""The people, and the runs of the bulk commands."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, router
from django.db.models.base import ModelBase
from django.utils import timezone

from accounts.clerk.profiles import EMAIL_MAX, FIELDS, IMAGE_URL_MAX, NAME_MAX
from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet
from accounts.lookup import PreparedLookup


class DeletedBy(models.TextChoices):
    """Who ended this row: deleted by Clerk is terminal, deleted here frees the id."""

    CLERK = "clerk"
    LOCAL = "local"


class CreatedVia(models.TextChoices):
    """What made the row."""

    REQUEST = "request"
    WEBHOOK = "webhook"
    BACKFILL = "backfill"
    LOCAL = "local"


class UserQuerySet(WriteDatabaseQuerySet["User"]):
    """Questions about people."""

    def live(self) -> Self:
        """Return those who are not deleted."""
        return self.filter(deleted_at__isnull=True)

    def live_or_deleted(self) -> Self:
        """Return everybody, for look-ups by `clerk_id`.

        Both indexes on that column are partial. Without a word on `deleted_at` neither fits, and PostgreSQL
        would walk through the table.
        """
        return self.filter(models.Q(deleted_at__isnull=True) | models.Q(deleted_at__isnull=False))


class ClerkUserManager(UserManager["User"]):
    """Django's manager of users, with the look-up of the warm request."""

    use_in_migrations = False

    def get_queryset(self) -> UserQuerySet:
        return UserQuerySet(self.model, using=self._db)

    @classmethod
    def normalize_email(cls, email: str | None) -> str | None:  # type: ignore[override]
        """Return the address with its domain in small letters, None for none: "" would be an address."""
        return super().normalize_email(email) or None

    def live(self) -> UserQuerySet:
        """Return those who are not deleted."""
        return self.get_queryset().live()

    def live_or_deleted(self) -> UserQuerySet:
        """Return everybody, for look-ups by `clerk_id`."""
        return self.get_queryset().live_or_deleted()

    def by_clerk_id(self, clerk_id: str, *, using: str | None = None) -> User | None:
        """Return the live user with this Clerk id, or None: one statement, on the write database or `using`.

        Note [The prepared look-up] in `accounts.lookup` says why it is compiled once. The row comes without
        `field_versions`, which a second statement loads when it is read. Raises django.db.Error.
        """
        return _live_by_clerk_id.fetch(clerk_id, using=using or self._db or router.db_for_write(User))


def opaque_username() -> str:
    """Return a unique name without meaning: a second row with the same Clerk id must be possible."""
    return f"clerk-{uuid.uuid4().hex}"


class User(WriteDatabaseModel, AbstractUser):
    """A person: signed in with Clerk (`clerk_id`), or local staff (without).

    Note [A save writes nothing old back]
    Django's `save()` writes every column, also those that nobody touched: it would undo a deletion, a ban or
    newer data that a webhook committed since the row was loaded. So a save without `update_fields` leaves out
    each column of `SYNCED` that still holds what was loaded. What was assigned is written, as in any Django.
    What a save has written is no longer compared: a rollback may have made it untrue.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clerk_id = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - unique
    # "" is no address, so null it is; the column of Django's own user is not.
    email = models.EmailField(max_length=EMAIL_MAX, null=True, blank=True)  # type: ignore[assignment]  # noqa: DJ001
    email_verified = models.BooleanField(default=False)
    first_name = models.CharField(max_length=NAME_MAX, blank=True, default="")
    last_name = models.CharField(max_length=NAME_MAX, blank=True, default="")
    image_url = models.CharField(max_length=IMAGE_URL_MAX, blank=True, default="")
    banned = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.CharField(max_length=8, choices=DeletedBy, blank=True, default="", editable=False)
    restored_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_via = models.CharField(max_length=8, choices=CreatedVia, default=CreatedVia.LOCAL, editable=False)
    field_versions = models.JSONField(default=dict, blank=True, editable=False)

    # What a sync, a deletion, a restoration or an operator may write while a view holds the row.
    SYNCED = (
        *FIELDS,
        *("clerk_id", "is_active", "updated_at", "deleted_at", "deleted_by", "restored_at", "field_versions"),
    )

    objects: ClassVar[ClerkUserManager] = ClerkUserManager()

    _loaded: Mapping[str, Any] = MappingProxyType({})

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=True),
                name="one_live_row_per_clerk_id",
            ),
        )
        indexes = (
            models.Index(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_rows_by_clerk_id",
            ),
            # For the admin's filters: few rows, found without a walk through all the others.
            models.Index(
                fields=["deleted_by", "-created_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="deleted_rows_by_whom",
            ),
            models.Index(
                fields=["-created_at"],
                condition=models.Q(banned=True) | models.Q(is_active=False),
                name="blocked_rows",
            ),
            models.Index(fields=["-created_at"], condition=models.Q(is_staff=True), name="staff_rows"),
        )

    def __str__(self) -> str:
        return self.clerk_id or self.username

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any
    ) -> Self:
        """Make the instance, and remember what was loaded."""
        user = super().from_db(db, field_names, values, **options)
        user.mark_loaded()
        return user

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """Reload as Django does, and remember that instead; a deferred column comes this way too."""
        names = None if fields is None else tuple(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        if from_queryset is not None:
            self._loaded = {}  # it may have left columns as they were
        elif names is None:
            self.mark_loaded()
        else:
            self._loaded = {**self._loaded, **{name: getattr(self, name) for name in names}}

    def mark_loaded(self) -> None:
        """Take what is in memory for what the row holds."""
        self.__dict__.pop("_loaded", None)
        self._loaded = self.__dict__.copy()

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save as Django does, without what is as it was loaded: Note [A save writes nothing old back]."""
        is_same_row = "id" in self._loaded and self._loaded["id"] == self.pk
        if update_fields is not None:
            update_fields = set(update_fields)
        elif is_same_row and not force_insert and using in {None, self._state.db}:
            update_fields = {field.attname for field in self._meta.concrete_fields if not field.primary_key}
            update_fields &= self.__dict__.keys() - self._untouched()
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields
        )
        written = self._loaded.keys() if update_fields is None else update_fields
        self._loaded = {name: value for name, value in self._loaded.items() if name not in written}

    def _untouched(self) -> set[str]:
        held = self.__dict__
        return {
            name
            for name in self.SYNCED
            if name in self._loaded and name in held and held[name] == self._loaded[name]
        }


_live_by_clerk_id = PreparedLookup(User.objects.live().filter(clerk_id="?").defer("field_versions"))


class SyncRun(WriteDatabaseModel):
    """One run of a bulk command: how far it came and what it did."""

    class Kind(models.TextChoices):
        BACKFILL = "backfill"
        RECONCILE = "reconcile"

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    kind = models.CharField(max_length=16, choices=Kind)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    cursor = models.CharField(max_length=64, blank=True, default="")
    counts = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=255, blank=True, default="")

    objects = WriteDatabaseQuerySet["SyncRun"].as_manager()

    class Meta:
        indexes = (models.Index(fields=["kind", "-started_at"], name="runs_by_kind_and_start"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M} {self.status}"
