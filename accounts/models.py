"""The users, and the runs of the bulk commands."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models.base import ModelBase
from django.utils import timezone

from accounts.clerk.profiles import EMAIL_MAX, FIELDS, IMAGE_URL_MAX, NAME_MAX
from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet, write_alias
from accounts.lookup import PreparedLookup


class DeletedBy(models.TextChoices):
    """Where the user was deleted: in Clerk, which is final, or locally, which frees the Clerk id."""

    CLERK = "clerk"
    LOCAL = "local"


class CreatedVia(models.TextChoices):
    """The source that created the row."""

    REQUEST = "request"
    WEBHOOK = "webhook"
    BACKFILL = "backfill"
    LOCAL = "local"


class UserQuerySet(WriteDatabaseQuerySet["User"]):
    """A queryset of users on the write database."""

    def live(self) -> Self:
        """Return the users that are not deleted."""
        return self.filter(deleted_at__isnull=True)

    def live_or_deleted(self) -> Self:
        """Return all users, for look-ups by `clerk_id`.

        Both indexes on that column are partial. Without a condition on `deleted_at` PostgreSQL can use
        neither and scans the table.
        """
        return self.filter(models.Q(deleted_at__isnull=True) | models.Q(deleted_at__isnull=False))


class ClerkUserManager(UserManager["User"]):
    """Django's manager of users, with the look-up of the warm request."""

    use_in_migrations = False

    def get_queryset(self) -> UserQuerySet:
        return UserQuerySet(self.model, using=self._db)

    @classmethod
    def normalize_email(cls, email: str | None) -> str | None:  # type: ignore[override]
        """Return the address with its domain in lower case, or None if it is empty."""
        return super().normalize_email(email) or None

    def live(self) -> UserQuerySet:
        """Return the users that are not deleted."""
        return self.get_queryset().live()

    def live_or_deleted(self) -> UserQuerySet:
        """Return all users, for look-ups by `clerk_id`."""
        return self.get_queryset().live_or_deleted()

    def by_clerk_id(self, clerk_id: str) -> User | None:
        """Return the live user with this Clerk id, or None, with one statement on the write database.

        Note [The prepared look-up] in `accounts.lookup` explains why it is compiled once. `field_versions`
        is deferred: a second statement loads it when it is read. Raises django.db.Error.
        """
        return _live_by_clerk_id.fetch(clerk_id, using=self._db or write_alias())


def opaque_username() -> str:
    """Return a unique random name: a second row with the same Clerk id must be possible."""
    return f"clerk-{uuid.uuid4().hex}"


class User(WriteDatabaseModel, AbstractUser):
    """A user of Clerk, or local staff, whose `clerk_id` is None.

    Note [A save writes no old value back]
    Django's `save()` writes every column, also those that the view did not change. It would undo a deletion,
    a ban or newer data that a webhook committed after the row was loaded. So a save without `update_fields`
    leaves out each column of `SYNCED` whose value is still the loaded one. Assigned values are written, as
    usual in Django. After a save the written columns are no longer compared: a rollback may have undone them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clerk_id = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - unique
    # Null means no address; the column of Django's own user is not nullable.
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

    # The columns that a sync, a deletion, a restoration or an operator may write while a view holds the row.
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
            # For the admin's filters: they select few rows, without a scan of the table.
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
        """Build the instance and store the loaded values."""
        user = super().from_db(db, field_names, values, **options)
        user.mark_loaded()
        return user

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """Reload as Django does and store the loaded values; Django also loads deferred columns this way."""
        names = None if fields is None else tuple(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        if from_queryset is not None:
            self._loaded = {}  # the queryset may have deferred some columns
        elif names is None:
            self.mark_loaded()
        else:
            self._loaded = {**self._loaded, **{name: getattr(self, name) for name in names}}

    def mark_loaded(self) -> None:
        """Store the current values as the loaded ones."""
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
        """Save as Django does, except unchanged columns: Note [A save writes no old value back]."""
        is_same_row = "id" in self._loaded and self._loaded["id"] == self.pk
        if update_fields is not None:
            update_fields = set(update_fields)
        elif is_same_row and not force_insert and using in {None, self._state.db}:
            update_fields = {field.attname for field in self._meta.concrete_fields if not field.primary_key}
            update_fields &= self.__dict__.keys() - self._unchanged_columns()
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields
        )
        written = self._loaded.keys() if update_fields is None else update_fields
        self._loaded = {name: value for name, value in self._loaded.items() if name not in written}

    def _unchanged_columns(self) -> set[str]:
        known = self._loaded.keys() & self.__dict__.keys()
        return {name for name in known.intersection(self.SYNCED) if self.__dict__[name] == self._loaded[name]}


_live_by_clerk_id = PreparedLookup(User.objects.live().filter(clerk_id="?").defer("field_versions"))


class SyncRun(WriteDatabaseModel):
    """One run of a bulk command: its state, its cursor in Clerk's list of users and its counts."""

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
