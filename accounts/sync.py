"""Create, update, delete and restore identities: the rules for the columns that Clerk owns.

`accounts.adapter` does what follows for the user of an identity, if that is another row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from typing import Any

from django.utils import timezone

from accounts.adapter import create_user, deactivate_user, has_user, is_active, new_identity, write_user
from accounts.clerk.profiles import FIELDS, ClerkProfile, Source
from accounts.db import locked_transaction
from accounts.merge import MergeResult, merge
from accounts.models import AbstractClerkIdentity, CreatedVia, DeletedBy, get_identity_model
from accounts.notifications import notify_synced, notify_unusable_fields

_SOURCE_NAMES = {Source.CLAIMS: "request", Source.WEBHOOK: "webhook", Source.API: "api"}
# An API answer creates a row only by a command or an action; all of them count as a backfill.
_CREATED_VIA = {
    Source.CLAIMS: CreatedVia.REQUEST,
    Source.WEBHOOK: CreatedVia.WEBHOOK,
    Source.API: CreatedVia.BACKFILL,
}


class Outcome(StrEnum):
    """The result of a sync, the same for every source."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    DELETED = "deleted"


class Decision(Enum):
    """What may be done for a Clerk id, given its rows and the source of a profile."""

    CREATE = auto()
    UPDATE = auto()
    IGNORE = auto()
    REFUSE = auto()


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The outcome of a sync, and the live row (None if there is none).

    `refused` names the columns of the project's user that did not accept Clerk's value.
    """

    identity: Any
    outcome: Outcome
    refused: tuple[str, ...] = ()


class UserDeleted(Exception):
    """The user was deleted in Clerk: every later session token is refused."""


class RestoreRefused(Exception):
    """No restoration; `reason`: `row_missing`, `not_deleted`, `live_row_exists` or `deleted_meanwhile`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decide(*, is_live: bool, deleted_by: Collection[str], source: Source) -> Decision:
    """Return the effect of a profile on the rows of its Clerk id; single users and pages use this rule.

    `is_live` says whether a live row with a user exists; `deleted_by` holds the column of each other row. It
    is empty for a row whose user the project has deleted, which counts as deleted locally. Deleted in Clerk
    is final: a session is refused, other sources are ignored. After a local deletion only a sign-in creates a
    new row.
    """
    if is_live:
        return Decision.UPDATE
    if DeletedBy.CLERK in deleted_by:
        return Decision.REFUSE if source is Source.CLAIMS else Decision.IGNORE
    return Decision.IGNORE if deleted_by and source is not Source.CLAIMS else Decision.CREATE


def sync_user(profile: ClerkProfile, *, source: str | None = None, is_locked: bool = False) -> SyncResult:
    """Apply a profile to the row of its user; return the row and the outcome.

    `source` names the caller for observers, by default the source of the profile. `is_locked` says that the
    caller's transaction has locked the Clerk id already.

    Raises UserDeleted for a session of a user deleted in Clerk, django.db.Error if nothing could be stored.
    """
    source = source or _SOURCE_NAMES[profile.source]
    with nullcontext() if is_locked else locked_transaction(profile.clerk_id):
        rows = get_rows(profile.clerk_id)
        live = next((row for row in rows if row.deleted_at is None and has_user(row)), None)
        decision = decide(
            is_live=live is not None,
            deleted_by=[row.deleted_by for row in rows if row is not live],
            source=profile.source,
        )
        result = SyncResult(None, Outcome.STALE)
        if decision is Decision.UPDATE and live is not None:
            result = _update(live, profile)
        elif decision is Decision.CREATE:
            result = _create(profile, rows=rows)
    # After the block: an exception inside it would roll back the caller's transaction.
    if decision is Decision.REFUSE:
        raise UserDeleted(profile.clerk_id)
    if result.identity is not None:
        result.identity.mark_loaded()
    notify_synced(profile.clerk_id, source=source, outcome=result.outcome)
    notify_unusable_fields(profile, source=source, refused=result.refused)
    return result


def _update(identity: Any, profile: ClerkProfile) -> SyncResult:
    merged = merge_profile(identity, profile)
    if merged.stale:
        return SyncResult(identity, Outcome.STALE)
    rows = get_identity_model().objects
    if merged.values:
        written: dict[str, object] = {**merged.values, "updated_at": timezone.now()}
        if merged.versions is not None:
            written["field_versions"] = merged.versions
        before = {field: getattr(identity, field) for field in FIELDS}
        fresh, _ = rows.update_or_create(pk=identity.pk, defaults=written)
        return SyncResult(fresh, Outcome.UPDATED, write_user(fresh, before=before))
    if merged.versions is not None:
        rows.filter(pk=identity.pk).update(field_versions=merged.versions)
        identity.field_versions = merged.versions
    return SyncResult(identity, Outcome.UNCHANGED)


def _create(profile: ClerkProfile, *, rows: Sequence[Any]) -> SyncResult:
    model = get_identity_model()
    fresh = build_identity(profile, predecessor=rows[0] if rows else None)
    if any(row.deleted_at is None for row in rows):
        _delete_live(clerk_id=profile.clerk_id)  # the project has deleted its user
    fields = {field.attname: getattr(fresh, field.attname) for field in model._meta.concrete_fields}
    identity, is_created = model.objects.update_or_create(
        clerk_id=profile.clerk_id, deleted_at=None, defaults={}, create_defaults=fields
    )
    return SyncResult(identity, Outcome.CREATED, create_user(identity) if is_created else ())


def build_identity(profile: ClerkProfile, *, predecessor: Any = None) -> Any:
    """Build the unsaved row of a new Clerk user, without access to the database.

    A ban or a deactivation of the predecessor, the last deleted row, is inherited.
    """
    identity = new_identity(profile.clerk_id, created_via=_CREATED_VIA[profile.source])
    if predecessor is not None:
        identity.banned, identity.is_active = predecessor.banned, is_active(predecessor)
        if "banned" in predecessor.field_versions:
            identity.field_versions = {"banned": predecessor.field_versions["banned"]}
    merged = merge_profile(identity, profile)
    for field, value in merged.values.items():
        setattr(identity, field, value)
    identity.field_versions = merged.versions or identity.field_versions
    return identity


def merge_profile(identity: AbstractClerkIdentity, profile: ClerkProfile) -> MergeResult:
    """Return the merge of a profile into a row; nothing is written.

    Raises django.db.Error if a deferred column is needed and cannot be loaded.
    """
    columns = (*FIELDS, "extra") if profile.has_extra else FIELDS
    values = {column: getattr(identity, column) for column in columns}
    return merge_values(values, identity.field_versions, profile)


def merge_values(
    values: Mapping[str, Any], versions: Mapping[str, Any], profile: ClerkProfile
) -> MergeResult:
    """Return the merge of a profile into columns and versions as the database returns them."""
    return merge(values, {field: (at, rank) for field, (at, rank) in versions.items()}, profile)


def delete_user(
    clerk_id: str, *, at: int, source: Source = Source.WEBHOOK, is_locked: bool = False
) -> Outcome:
    """Mark a user as deleted in Clerk at `at` (ms, Clerk's clock); an unknown id gets a deleted row.

    `is_locked` as in `sync_user`. Raises django.db.Error if nothing could be stored.
    """
    with nullcontext() if is_locked else locked_transaction(clerk_id):
        outcome = _delete(clerk_id, at=datetime.fromtimestamp(at / 1000, UTC), source=source)
    notify_synced(clerk_id, source=_SOURCE_NAMES[source], outcome=outcome)
    return outcome


def _delete(clerk_id: str, *, at: datetime, source: Source) -> Outcome:
    rows = get_rows(clerk_id)
    live = next((row for row in rows if row.deleted_at is None), None)
    deleted = next((row for row in rows if row.deleted_by == DeletedBy.CLERK), None)
    stored = get_identity_model().objects
    if live is None and deleted is not None:
        # The latest time counts: an older answer of the Backend API may still contain the user.
        stored.filter(pk=deleted.pk, deleted_at__lt=at).update(deleted_at=at)
        return Outcome.STALE
    # Any row counts: the restored row may have been deleted locally since then, and a new one created.
    if any(row.restored_at is not None and at <= row.restored_at for row in rows):
        return Outcome.STALE
    target = live or (rows[0] if rows else None)
    if target is None:
        unknown = new_identity(clerk_id, created_via=_CREATED_VIA[source])
        unknown.deleted_at, unknown.deleted_by = at, DeletedBy.CLERK
        unknown.save(force_insert=True)
        return Outcome.DELETED
    stored.filter(pk=target.pk).update(
        deleted_at=max(target.deleted_at or at, at), deleted_by=DeletedBy.CLERK, updated_at=timezone.now()
    )
    deactivate_user(target)
    return Outcome.DELETED


def delete_locally(identity: AbstractClerkIdentity) -> Outcome:
    """Delete a user locally. The next valid sign-in with this Clerk id creates a new row.

    Returns STALE if the row was already deleted. Raises django.db.Error.
    """
    with locked_transaction(identity.clerk_id or str(identity.pk)):
        is_deleted = _delete_live(pk=identity.pk)
    return Outcome.DELETED if is_deleted else Outcome.STALE


def _delete_live(**which: object) -> bool:
    """Mark the live row as deleted locally; return False if it is not live."""
    now = timezone.now()
    live = get_identity_model().objects.live().filter(**which)
    return bool(live.update(deleted_at=now, deleted_by=DeletedBy.LOCAL, updated_at=now))


def restore_user(identity: AbstractClerkIdentity, *, at: int) -> Any:
    """Undo a deletion; `at` (ms, Clerk's clock) is a moment at which the user existed in Clerk.

    `identity` is the row as it was before the request to Clerk. A deletion event older than `at` is then
    stale. Raises RestoreRefused if the row does not exist any more or is not deleted, if another row of the
    Clerk id is live, or if the user was deleted again after `identity` was read; and django.db.Error.
    """
    stored = get_identity_model().objects
    with locked_transaction(identity.clerk_id or str(identity.pk)):
        rows = get_rows(identity.clerk_id) if identity.clerk_id else list(stored.filter(pk=identity.pk))
        row = next((each for each in rows if each.pk == identity.pk), None)
        reason = _get_restore_refusal(row, rows=rows, seen=identity)
        if row is not None and not reason:
            _restore(row, at=datetime.fromtimestamp(at / 1000, UTC))
    # After the block: an exception inside it would roll back the caller's transaction.
    if row is None or reason:
        raise RestoreRefused(reason)
    return row


def _get_restore_refusal(row: Any, *, rows: Collection[Any], seen: AbstractClerkIdentity) -> str:
    """Return why the row may not be restored, or ""; `seen` is the row as it was before the call to Clerk."""
    if row is None:
        return "row_missing"
    if row.deleted_at is None:
        return "not_deleted"
    if any(each.deleted_at is None for each in rows):
        return "live_row_exists"
    is_same_deletion = (row.deleted_by, row.deleted_at) == (seen.deleted_by, seen.deleted_at)
    return "" if is_same_deletion else "deleted_meanwhile"


def _restore(row: Any, *, at: datetime) -> None:
    row.deleted_at, row.deleted_by = None, ""
    row.restored_at, row.updated_at = at, timezone.now()
    row.save(update_fields=["deleted_at", "deleted_by", "restored_at", "updated_at"])
    # Other rows of this id that were deleted in Clerk become local deletions: otherwise `decide` would refuse
    # the user after the next local deletion.
    deleted = get_identity_model().objects.filter(clerk_id=row.clerk_id, deleted_at__isnull=False)
    deleted.filter(deleted_by=DeletedBy.CLERK).update(deleted_by=DeletedBy.LOCAL)
    if not has_user(row):
        create_user(row)


def get_rows(clerk_id: str) -> list[Any]:
    """Return all rows of a Clerk id by the time of deletion (of a live row: creation), the newest first.

    Raises django.db.Error.
    """
    return sorted(
        get_identity_model().objects.live_or_deleted().filter(clerk_id=clerk_id),
        key=lambda row: (row.deleted_at or row.created_at, row.created_at),
        reverse=True,
    )
