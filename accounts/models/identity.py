"""The abstract model of a Clerk identity: the columns that Clerk owns, and the rules of saving them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from django.db import models
from django.db.models.base import ModelBase
from django.utils import timezone

from accounts.clerk.fields import EMAIL_MAX, IMAGE_URL_MAX, NAME_MAX
from accounts.clerk.profiles import FIELDS
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
    LINK = "link"
    LOCAL = "local"


def identity_permissions(model_name: str) -> tuple[tuple[str, str], ...]:
    """Return the permissions for the actions of the admin on identities, for the Meta of their model."""
    return (
        (f"sync_{model_name}", "Can sync users again from Clerk"),
        (f"deactivate_{model_name}", "Can deactivate and activate users"),
        (f"delete_here_{model_name}", "Can delete users locally and restore them"),
    )


def opaque_username() -> str:
    """Return a unique random name: a second row with the same Clerk id must be possible."""
    return f"clerk-{uuid.uuid4().hex}"


I = TypeVar("I", bound="AbstractClerkIdentity")  # noqa: E741 - as M stands for a model


class IdentityQuerySet(WriteDatabaseQuerySet[I]):
    """A queryset of identities on the write database."""

    def live(self) -> Self:
        """Return the identities that are not deleted."""
        return self.filter(deleted_at__isnull=True)

    def live_or_deleted(self) -> Self:
        """Return all identities, for look-ups by `clerk_id`.

        Both indexes on that column are partial. Without a condition on `deleted_at` PostgreSQL can use
        neither and scans the table.
        """
        return self.filter(models.Q(deleted_at__isnull=True) | models.Q(deleted_at__isnull=False))


class IdentityManager(models.Manager[I]):
    """A manager of identities, with the look-up of the warm request."""

    use_in_migrations = False

    def get_queryset(self) -> IdentityQuerySet[I]:
        return IdentityQuerySet(self.model, using=self._db)

    def live(self) -> IdentityQuerySet[I]:
        """Return the identities that are not deleted."""
        return self.get_queryset().live()

    def live_or_deleted(self) -> IdentityQuerySet[I]:
        """Return all identities, for look-ups by `clerk_id`."""
        return self.get_queryset().live_or_deleted()

    def by_clerk_id(self, clerk_id: str, *, with_extra: bool = False) -> I | None:
        """Return the live identity with this Clerk id, or None, with one statement on the write database.

        Note [The prepared look-up] in `accounts.lookup` explains why it is compiled once. The columns of
        `UNREAD` and, without `with_extra`, `extra` are deferred: a second statement loads a deferred column
        when it is read. Raises django.db.Error.
        """
        lookup = _prepare_lookup(self.model, with_extra=with_extra)
        identity: I | None = lookup.fetch(clerk_id, using=self._db or write_alias())
        return identity


class AbstractClerkIdentity(WriteDatabaseModel):
    """What is stored of a Clerk user. A subclass is the user model itself, or belongs to one of its users.

    Note [A save writes no old value back]
    Django's `save()` writes every column, also those that the view did not change. It would undo a deletion,
    a ban or newer data that a webhook committed after the row was loaded. So a save without `update_fields`
    leaves out each column of `SYNCED` whose value is still the loaded one. Assigned values are written, as
    usual in Django. After a save the written columns are no longer compared: a rollback may have undone them.
    """

    clerk_id = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001 - unique
    # Null means no address.
    email = models.EmailField(max_length=EMAIL_MAX, null=True, blank=True)  # noqa: DJ001
    email_verified = models.BooleanField(default=False)
    first_name = models.CharField(max_length=NAME_MAX, blank=True, default="")
    last_name = models.CharField(max_length=NAME_MAX, blank=True, default="")
    image_url = models.CharField(max_length=IMAGE_URL_MAX, blank=True, default="")
    banned = models.BooleanField(default=False)
    # The fields of CLERK_EXTRA_FIELDS; null if Clerk has cleared one. Other versions of this program may not
    # know the column, so the database has the default too.
    extra = models.JSONField(default=dict, db_default={}, blank=True, editable=False)
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
        *("extra", "clerk_id", "is_active", "updated_at", "deleted_at", "deleted_by", "restored_at"),
        "field_versions",
    )
    # What the look-up of a warm request joins, and the columns that it leaves out.
    JOINED: ClassVar[tuple[str, ...]] = ()
    UNREAD: ClassVar[tuple[str, ...]] = ("field_versions",)

    objects: ClassVar[IdentityManager[Any]] = IdentityManager()

    _loaded: Mapping[str, Any] = MappingProxyType({})

    class Meta:
        abstract = True
        constraints = (
            models.UniqueConstraint(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=True),
                name="%(app_label)s_one_live_identity",
            ),
        )
        indexes = (
            models.Index(
                fields=["clerk_id"],
                condition=models.Q(deleted_at__isnull=False),
                name="%(app_label)s_deleted_ids",
            ),
        )

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any
    ) -> Self:
        """Build the instance and store the loaded values."""
        identity = super().from_db(db, field_names, values, **options)
        identity.mark_loaded()
        return identity

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
        key = self._meta.pk.attname
        is_same_row = key in self._loaded and self._loaded[key] == self.pk
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


@cache
def _prepare_lookup(model: type[Any], *, with_extra: bool) -> PreparedLookup[Any]:
    rows = model.objects.live().filter(clerk_id="?").defer(*model.UNREAD)
    rows = rows if with_extra else rows.defer("extra")
    return PreparedLookup(rows.select_related(*model.JOINED) if model.JOINED else rows)
