"""The only writer of the columns that Clerk owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
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

SOURCES = {Source.CLAIMS: "request", Source.WEBHOOK: "webhook", Source.API: "api"}
_VIA = {
    Source.CLAIMS: CreatedVia.REQUEST,
    Source.WEBHOOK: CreatedVia.WEBHOOK,
    Source.API: CreatedVia.BACKFILL,
}


class Outcome(StrEnum):
    """How a sync ended, everywhere the same."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Synced:
    """The person's live row, if there is one, and what happened to it."""

    user: User | None
    outcome: Outcome


class UserDeleted(Exception):
    """The person was deleted in Clerk; a token that is still valid opens nothing."""


class RestoreRefused(Exception):
    """Nothing to restore, a live row in the way, or a deletion that came in between; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def sync_user(profile: ClerkProfile, *, source: str | None = None) -> Synced:
    """Bring the person's row up to a profile and return it; `source` names who asked, for observers.

    Raises UserDeleted for a session of a person deleted in Clerk, DatabaseError when nothing could be stored.
    """
    with locked_transaction(profile.clerk_id):
        synced = _sync(profile)
    if synced is None:
        raise UserDeleted(profile.clerk_id)
    if synced.user is not None:
        synced.user.remember()
    _tell(profile, source=source or SOURCES[profile.source], outcome=synced.outcome)
    return synced


def _sync(profile: ClerkProfile) -> Synced | None:
    """Do it; None where a session has to be refused, which an exception would make a rollback of."""
    rows = rows_of(profile.clerk_id)
    live = next((row for row in rows if row.deleted_at is None), None)
    if live is not None:
        return _update(live, profile)
    if any(row.deleted_by == DeletedBy.CLERK for row in rows):
        return None if profile.source is Source.CLAIMS else Synced(None, Outcome.STALE)
    if rows and profile.source is not Source.CLAIMS:
        return Synced(None, Outcome.STALE)  # deleted here: only a sign-in makes a fresh row
    return _create(profile, predecessor=rows[0] if rows else None)


def _update(user: User, profile: ClerkProfile) -> Synced:
    merged = merged_with(user, profile)
    if merged.stale:
        return Synced(user, Outcome.STALE)
    if merged.values:
        written: dict[str, object] = {**merged.values, "updated_at": timezone.now()}
        if merged.versions is not None:
            written["field_versions"] = merged.versions
        user, _ = User.objects.update_or_create(pk=user.pk, defaults=written)
        return Synced(user, Outcome.UPDATED)
    if merged.versions is not None:
        User.objects.filter(pk=user.pk).update(field_versions=merged.versions)
        user.field_versions = merged.versions
    return Synced(user, Outcome.UNCHANGED)


def _create(profile: ClerkProfile, *, predecessor: User | None) -> Synced:
    fresh = new_user(profile, predecessor=predecessor)
    fields = {field.attname: getattr(fresh, field.attname) for field in User._meta.concrete_fields}
    user, _ = User.objects.update_or_create(
        clerk_id=profile.clerk_id, deleted_at=None, defaults={}, create_defaults=fields
    )
    return Synced(user, Outcome.CREATED)


def new_user(profile: ClerkProfile, *, predecessor: User | None = None) -> User:
    """Build the unsaved row of a person; deleting here never unblocks, so a block is inherited."""
    user = User(clerk_id=profile.clerk_id, username=opaque_username(), created_via=_VIA[profile.source])
    # As `set_unusable_password` does, whose forty draws would take a third of a page of new people.
    user.password = UNUSABLE_PASSWORD_PREFIX + token_urlsafe(30)
    if predecessor is not None:
        user.banned, user.is_active = predecessor.banned, predecessor.is_active
        if "banned" in predecessor.field_versions:
            user.field_versions = {"banned": predecessor.field_versions["banned"]}
    merged = merged_with(user, profile)
    for field, value in merged.values.items():
        setattr(user, field, value)
    user.field_versions = merged.versions or user.field_versions
    return user


def merged_with(user: User, profile: ClerkProfile) -> MergeResult:
    """Merge a profile into what a row holds; nothing is written."""
    return merge_stored({field: getattr(user, field) for field in FIELDS}, user.field_versions, profile)


def merge_stored(
    values: Mapping[str, Value], versions: Mapping[str, Any], profile: ClerkProfile
) -> MergeResult:
    """Do the same with the values and the versions as the database gives them."""
    return merge(values, {field: (at, rank) for field, (at, rank) in versions.items()}, profile)


def delete_user(clerk_id: str, *, at: int, source: Source = Source.WEBHOOK) -> Outcome:
    """Mark the person as deleted in Clerk at `at` (ms, Clerk's clock): terminal, and known even if unseen."""
    with locked_transaction(clerk_id):
        outcome = _delete(clerk_id, at=datetime.fromtimestamp(at / 1000, UTC), source=source)
    _tell_synced(clerk_id, source=SOURCES[source], outcome=outcome)
    return outcome


def _delete(clerk_id: str, *, at: datetime, source: Source) -> Outcome:
    rows = rows_of(clerk_id)
    live = next((row for row in rows if row.deleted_at is None), None)
    buried = next((row for row in rows if row.deleted_by == DeletedBy.CLERK), None)
    if live is None and buried is not None:
        # Nothing new, but the latest word counts for whoever was told before it that the person is alive.
        User.objects.filter(pk=buried.pk, deleted_at__lt=at).update(deleted_at=at)
        return Outcome.STALE
    # Of any row: whoever was restored may since have been deleted here and have signed in anew.
    if any(row.restored_at is not None and at <= row.restored_at for row in rows):
        return Outcome.STALE
    target = live or (rows[0] if rows else None)
    if target is None:
        tombstone = User(clerk_id=clerk_id, username=opaque_username(), created_via=_VIA[source])
        tombstone.set_unusable_password()
        tombstone.deleted_at, tombstone.deleted_by = at, DeletedBy.CLERK
        tombstone.save(force_insert=True)
        return Outcome.DELETED
    User.objects.filter(pk=target.pk).update(
        deleted_at=max(target.deleted_at or at, at), deleted_by=DeletedBy.CLERK, updated_at=timezone.now()
    )
    return Outcome.DELETED


def delete_locally(user: User) -> Outcome:
    """Delete a person here: the id is free, and the next valid sign-in makes a fresh row."""
    with locked_transaction(user.clerk_id or str(user.pk)):
        now = timezone.now()
        changed = (
            User.objects.live()
            .filter(pk=user.pk)
            .update(deleted_at=now, deleted_by=DeletedBy.LOCAL, updated_at=now)
        )
    return Outcome.DELETED if changed else Outcome.STALE


def restore_user(user: User, *, at: int) -> User:
    """End a deletion; `at` (ms, Clerk's clock) is when the person was known to be alive.

    `user` is the row as it was before Clerk was asked. A deletion event older than the answer is then stale.
    Raises RestoreRefused when a live row exists, or when the person was deleted anew since `user` was read.
    """
    with locked_transaction(user.clerk_id or str(user.pk)):
        rows = rows_of(user.clerk_id) if user.clerk_id else list(User.objects.filter(pk=user.pk))
        if any(each.deleted_at is None for each in rows):
            raise RestoreRefused("live_row_exists")
        row = next((each for each in rows if each.pk == user.pk), None)
        if row is None:
            raise RestoreRefused("not_deleted")
        if (row.deleted_by, row.deleted_at) != (user.deleted_by, user.deleted_at):
            raise RestoreRefused("deleted_meanwhile")
        _restore(row, at=datetime.fromtimestamp(at / 1000, UTC))
    return row


def _restore(row: User, *, at: datetime) -> None:
    row.deleted_at, row.deleted_by = None, ""
    row.restored_at, row.updated_at = at, timezone.now()
    row.save(update_fields=["deleted_at", "deleted_by", "restored_at", "updated_at"])
    # No row may say that Clerk has deleted whom another row shows alive.
    buried = User.objects.filter(clerk_id=row.clerk_id, deleted_at__isnull=False, deleted_by=DeletedBy.CLERK)
    buried.update(deleted_by=DeletedBy.LOCAL)


def rows_of(clerk_id: str) -> list[User]:
    """Return all rows of a Clerk id, the last deleted first."""
    return sorted(
        User.objects.live_or_deleted().filter(clerk_id=clerk_id),
        key=lambda row: (row.deleted_at or row.created_at, row.created_at),
        reverse=True,
    )


def _tell(profile: ClerkProfile, *, source: str, outcome: Outcome) -> None:
    _tell_synced(profile.clerk_id, source=source, outcome=outcome)
    for field in profile.unusable:
        tell_failed(profile.clerk_id, source=source, reason=f"unusable_field:{field}")


def _tell_synced(clerk_id: str, *, source: str, outcome: Outcome) -> None:
    news = partial(user_synced.send_robust, sender=User, clerk_id=clerk_id, source=source, outcome=outcome)
    after_commit(news)


def tell_failed(clerk_id: str | None, *, source: str, reason: str) -> None:
    """Tell observers of a failure, once the transaction that we may be in has ended well."""
    news = partial(sync_failed.send_robust, sender=User, clerk_id=clerk_id, source=source, reason=reason)
    after_commit(news)
