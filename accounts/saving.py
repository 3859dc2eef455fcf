"""Saving: a row in the hand of a view writes back what the view changed, and nothing older.

Note [A save writes nothing old back]
Django's save writes every column, also those that nobody touched since they were loaded: it would undo a
deletion, a ban or newer data that a webhook committed meanwhile. So a save without `update_fields` leaves out
each column of `SYNCED` that still holds what was loaded. What was assigned is written, as in any Django; a
dictionary counts as assigned when it is another one, not when it was changed in place. A row that is
no longer in the table is not made again: that is Django's DatabaseError, as with `update_fields`.

What a save has written is remembered in turn, but only once a rollback can no longer make it untrue. Where
nothing is known of a column it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Self

from django.db import models, router, transaction
from django.db.models.base import ModelBase


class SparingSave(models.Model):
    """A model whose columns in `SYNCED` others write too: see Note [A save writes nothing old back]."""

    SYNCED: ClassVar[frozenset[str]]

    # What the row is known to hold: as `from_db` was given it, afterwards by name. Nothing until it is added.
    _stored: tuple[Collection[str], Collection[Any]] | Mapping[str, Any] = ((), ())

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save as Django does, without the columns of `SYNCED` that are as they were loaded."""
        using = using or router.db_for_write(type(self), instance=self)
        stored = self._known() if using == self._state.db and not self._state.adding else {}
        if update_fields is not None:
            update_fields = frozenset(update_fields)
        elif not force_insert and "pk" in stored and stored["pk"] == self.pk:
            update_fields = self._to_write(stored)
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=update_fields
        )
        written = self.SYNCED if update_fields is None else self.SYNCED & update_fields
        self._stored = remembered = {name: stored[name] for name in stored.keys() - written}
        news = self._held(written) | {"pk": self.pk}
        # Whoever commits by hand does not tell us when.
        with suppress(transaction.TransactionManagementError):
            transaction.on_commit(partial(remembered.update, news), using=using)

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Any, **options: Any) -> Self:
        """Make the instance and keep a reference to what was loaded; the warm request affords no more."""
        loaded = super().from_db(db, field_names, values, **options)
        loaded._stored = (field_names, values)  # noqa: SLF001 - its own
        return loaded

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """Reload as Django does; a deferred column comes this way too."""
        names = None if fields is None else frozenset(fields)
        super().refresh_from_db(using=using, fields=names, from_queryset=from_queryset)
        if names is not None:
            self._stored = {**self._known(), **self._held(self.SYNCED & names)}
        elif from_queryset is None:
            self._stored = {**self._held(self.SYNCED), "pk": self.pk}
        else:  # which may have left columns as they were
            self._stored = {}

    def _known(self) -> Mapping[str, Any]:
        """Return what the row is known to hold, by the names of the columns and `pk`."""
        if isinstance(self._stored, Mapping):
            return self._stored
        names, values = self._stored
        fields = self._meta.concrete_fields
        # As Django reads them: in the order of the columns, whatever the order of the names.
        loaded = fields if len(values) == len(fields) else [each for each in fields if each.attname in names]
        wanted = {name: name for name in self.SYNCED} | {self._meta.pk.attname: "pk"}
        return {
            wanted[field.attname]: value
            for field, value in zip(loaded, values, strict=False)
            if field.attname in wanted
        }

    def _held(self, names: Iterable[str]) -> dict[str, Any]:
        """Return what these columns hold in memory, without the deferred and what the database computes."""
        held = {name: self.__dict__[name] for name in names if name in self.__dict__}
        return {name: value for name, value in held.items() if not hasattr(value, "resolve_expression")}

    def _to_write(self, stored: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the columns at hand without those of `SYNCED` that are as they were loaded, None for all."""
        columns = {field.attname for field in self._meta.concrete_fields if not field.primary_key}
        held = self._held(self.SYNCED & stored.keys())
        untouched = {name for name, value in held.items() if value == stored[name]}
        return frozenset(columns & self.__dict__.keys() - untouched) if untouched else None
