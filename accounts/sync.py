"""Create, update, delete and restore users: the rules for the columns that Clerk owns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from functools import partial
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.utils import timezone

from accounts.clerk.profiles import FIELDS, ClerkProfile, Source, Value
from accounts.db import after_commit, locked_transaction
from accounts.merge import MergeResult, merge
from accounts.models import CreatedVia, DeletedBy, User, opaque_username
from accounts.signals import sync_failed, user_synced

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
    """The outcome of a sync, and the live row (None if there is none)."""

    user: User | None
    outcome: Outcome


class UserDeleted(Exception):
    """The user was deleted in Clerk: every later session token is refused."""


class RestoreRefused(Exception):
    """No restoration; `reason`: `row_missing`, `not_deleted`, `live_row_exists` or `deleted_meanwhile`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decide(*, is_live: bool, deleted_by: Collection[str], source: Source) -> Decision:
    """Return the effect of a profile on the rows of its Clerk id; single users and pages use this rule.

    `is_live` says whether a live row exists; `deleted_by` holds the `DeletedBy` of each deleted row. Deleted
    in Clerk is final: a session is refused, other sources are ignored. After a local deletion only a sign-in
    creates a new row.
    """
    if is_live:
        return Decision.UPDATE
    if DeletedBy.CLERK in deleted_by:
        return Decision.REFUSE if source is Source.CLAIMS else Decision.IGNORE
    return Decision.IGNORE if deleted_by and source is not Source.CLAIMS else Decision.CREATE


def sync_user(profile: ClerkProfile, *, source: str | None = None) -> SyncResult:
    """Apply a profile to the row of its user; return the row and the outcome.

    `source` names the caller for observers, by default the source of the profile.

    Raises UserDeleted for a session of a user deleted in Clerk, django.db.Error if nothing could be stored.
    """
    source = source or _SOURCE_NAMES[profile.source]
    with locked_transaction(profile.clerk_id):
        rows = get_rows(profile.clerk_id)
        live = next((row for row in rows if row.deleted_at is None), None)
        decision = decide(
            is_live=live is not None,
            deleted_by=[row.deleted_by for row in rows if row.deleted_at is not None],
            source=profile.source,
        )
        result = SyncResult(None, Outcome.STALE)
        if decision is Decision.UPDATE and live is not None:
            result = _update(live, profile)
        elif decision is Decision.CREATE:
            result = _create(profile, predecessor=rows[0] if rows else None)
    # After the block: an exception inside it would roll back the caller's transaction.
    if decision is Decision.REFUSE:
        raise UserDeleted(profile.clerk_id)
    if result.user is not None:
        result.user.mark_loaded()
    _notify_synced(profile.clerk_id, source=source, outcome=result.outcome)
    notify_unusable_fields(profile, source=source)
    return result


def _update(user: User, profile: ClerkProfile) -> SyncResult:
    merged = merge_profile(user, profile)
    if merged.stale:
        return SyncResult(user, Outcome.STALE)
    if merged.values:
        written: dict[str, object] = {**merged.values, "updated_at": timezone.now()}
        if merged.versions is not None:
            written["field_versions"] = merged.versions
        user, _ = User.objects.update_or_create(pk=user.pk, defaults=written)
        return SyncResult(user, Outcome.UPDATED)
    if merged.versions is not None:
        User.objects.filter(pk=user.pk).update(field_versions=merged.versions)
        user.field_versions = merged.versions
    return SyncResult(user, Outcome.UNCHANGED)


def _create(profile: ClerkProfile, *, predecessor: User | None) -> SyncResult:
    fresh = build_user(profile, predecessor=predecessor)
    fields = {field.attname: getattr(fresh, field.attname) for field in User._meta.concrete_fields}
    user, _ = User.objects.update_or_create(
        clerk_id=profile.clerk_id, deleted_at=None, defaults={}, create_defaults=fields
    )
    return SyncResult(user, Outcome.CREATED)


def build_user(profile: ClerkProfile, *, predecessor: User | None = None) -> User:
    """Build the unsaved row of a new user, without access to the database.

    A ban or a deactivation of the predecessor, the last deleted row, is inherited.
    """
    user = _build_empty_user(profile.clerk_id, source=profile.source)
    if predecessor is not None:
        user.banned, user.is_active = predecessor.banned, predecessor.is_active
        if "banned" in predecessor.field_versions:
            user.field_versions = {"banned": predecessor.field_versions["banned"]}
    merged = merge_profile(user, profile)
    for field, value in merged.values.items():
        setattr(user, field, value)
    user.field_versions = merged.versions or user.field_versions
    return user


def _build_empty_user(clerk_id: str, *, source: Source) -> User:
    # Like `set_unusable_password`, but with one random draw: its own take a third of the time of a page.
    password = UNUSABLE_PASSWORD_PREFIX + token_urlsafe(30)
    return User(
        clerk_id=clerk_id, username=opaque_username(), password=password, created_via=_CREATED_VIA[source]
    )


def merge_profile(user: User, profile: ClerkProfile) -> MergeResult:
    """Return the merge of a profile into a row; nothing is written.

    Raises django.db.Error if `field_versions` is deferred and cannot be loaded.
    """
    return merge_values({field: getattr(user, field) for field in FIELDS}, user.field_versions, profile)


def merge_values(
    values: Mapping[str, Value], versions: Mapping[str, Any], profile: ClerkProfile
) -> MergeResult:
    """Return the merge of a profile into values and versions as the database returns them."""
    return merge(values, {field: (at, rank) for field, (at, rank) in versions.items()}, profile)


def delete_user(clerk_id: str, *, at: int, source: Source = Source.WEBHOOK) -> Outcome:
    """Mark a user as deleted in Clerk at `at` (ms, Clerk's clock); an unknown id gets a deleted row.

    Raises django.db.Error if nothing could be stored.
    """
    with locked_transaction(clerk_id):
        outcome = _delete(clerk_id, at=datetime.fromtimestamp(at / 1000, UTC), source=source)
    _notify_synced(clerk_id, source=_SOURCE_NAMES[source], outcome=outcome)
    return outcome


def _delete(clerk_id: str, *, at: datetime, source: Source) -> Outcome:
    rows = get_rows(clerk_id)
    live = next((row for row in rows if row.deleted_at is None), None)
    deleted = next((row for row in rows if row.deleted_by == DeletedBy.CLERK), None)
    if live is None and deleted is not None:
        # The latest time counts: an older answer of the Backend API may still contain the user.
        User.objects.filter(pk=deleted.pk, deleted_at__lt=at).update(deleted_at=at)
        return Outcome.STALE
    # Any row counts: the restored row may have been deleted locally since then, and a new one created.
    if any(row.restored_at is not None and at <= row.restored_at for row in rows):
        return Outcome.STALE
    target = live or (rows[0] if rows else None)
    if target is None:
        unknown = _build_empty_user(clerk_id, source=source)
        unknown.deleted_at, unknown.deleted_by = at, DeletedBy.CLERK
        unknown.save(force_insert=True)
        return Outcome.DELETED
    User.objects.filter(pk=target.pk).update(
        deleted_at=max(target.deleted_at or at, at), deleted_by=DeletedBy.CLERK, updated_at=timezone.now()
    )
    return Outcome.DELETED


def delete_locally(user: User) -> Outcome:
    """Delete a user locally. The next valid sign-in with this Clerk id creates a new row.

    Returns STALE if the row was already deleted. Raises django.db.Error.
    """
    with locked_transaction(user.clerk_id or str(user.pk)):
        now = timezone.now()
        changed = (
            User.objects.live()
            .filter(pk=user.pk)
            .update(deleted_at=now, deleted_by=DeletedBy.LOCAL, updated_at=now)
        )
    return Outcome.DELETED if changed else Outcome.STALE


def restore_user(user: User, *, at: int) -> User:
    """Undo a deletion; `at` (ms, Clerk's clock) is a moment at which the user existed in Clerk.

    `user` is the row as it was before the request to Clerk. A deletion event older than `at` is then stale.
    Raises RestoreRefused if the row does not exist any more or is not deleted, if another row of the Clerk id
    is live, or if the user was deleted again after `user` was read; and django.db.Error.
    """
    with locked_transaction(user.clerk_id or str(user.pk)):
        rows = get_rows(user.clerk_id) if user.clerk_id else list(User.objects.filter(pk=user.pk))
        row = next((each for each in rows if each.pk == user.pk), None)
        reason = _get_restore_refusal(row, rows=rows, seen=user)
        if row is not None and not reason:
            _restore(row, at=datetime.fromtimestamp(at / 1000, UTC))
    # After the block: an exception inside it would roll back the caller's transaction.
    if row is None or reason:
        raise RestoreRefused(reason)
    return row


def _get_restore_refusal(row: User | None, *, rows: Collection[User], seen: User) -> str:
    """Return why the row may not be restored, or ""; `seen` is the row as it was before the call to Clerk."""
    if row is None:
        return "row_missing"
    if row.deleted_at is None:
        return "not_deleted"
    if any(each.deleted_at is None for each in rows):
        return "live_row_exists"
    is_same_deletion = (row.deleted_by, row.deleted_at) == (seen.deleted_by, seen.deleted_at)
    return "" if is_same_deletion else "deleted_meanwhile"


def _restore(row: User, *, at: datetime) -> None:
    row.deleted_at, row.deleted_by = None, ""
    row.restored_at, row.updated_at = at, timezone.now()
    row.save(update_fields=["deleted_at", "deleted_by", "restored_at", "updated_at"])
    # Other rows of this id that were deleted in Clerk become local deletions: otherwise `decide` would refuse
    # the user after the next local deletion.
    deleted = User.objects.filter(clerk_id=row.clerk_id, deleted_at__isnull=False, deleted_by=DeletedBy.CLERK)
    deleted.update(deleted_by=DeletedBy.LOCAL)


def get_rows(clerk_id: str) -> list[User]:
    """Return all rows of a Clerk id by the time of deletion (of a live row: creation), the newest first.

    Raises django.db.Error.
    """
    return sorted(
        User.objects.live_or_deleted().filter(clerk_id=clerk_id),
        key=lambda row: (row.deleted_at or row.created_at, row.created_at),
        reverse=True,
    )


def notify_unusable_fields(profile: ClerkProfile, *, source: str) -> None:
    """Notify observers of each field that could not be stored, after the commit."""
    for field in profile.unusable:
        notify_failed(profile.clerk_id, source=source, reason=f"unusable_field:{field}")


def notify_failed(clerk_id: str | None, *, source: str, reason: str) -> None:
    """Notify observers of a failure, after the commit of the transaction if there is one."""
    after_commit(
        partial(sync_failed.send_robust, sender=User, clerk_id=clerk_id, source=source, reason=reason)
    )


def _notify_synced(clerk_id: str, *, source: str, outcome: Outcome) -> None:
    after_commit(
        partial(user_synced.send_robust, sender=User, clerk_id=clerk_id, source=source, outcome=outcome)
    )
