"""The sync of a page of users: one lock statement, one SELECT, and bulk writes of what differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, Error
from django.utils import timezone

from accounts.adapter import create_user, write_user
from accounts.clerk.profiles import FIELDS, ClerkProfile
from accounts.db import failure_reason, locked_transaction
from accounts.models import get_identity_model, is_user_model
from accounts.notifications import notify_failed, notify_page_synced, notify_unusable_fields
from accounts.sync import (
    Decision,
    Outcome,
    build_identity,
    decide,
    merge_values,
    sync_user,
)

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageResult:
    """The outcome of each stored user of a page, and the Clerk ids of the users that could not be stored."""

    outcomes: Mapping[str, Outcome]
    failed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Plan:
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    created: list[Any] = field(default_factory=list)
    updated: list[Any] = field(default_factory=list)
    # The values that the updated rows had before, by Clerk id.
    before: dict[str, _Row] = field(default_factory=dict)


def sync_page(profiles: Sequence[ClerkProfile], *, source: str, dry_run: bool = False) -> PageResult:
    """Apply a page of profiles by the same rules and under the same locks as `sync_user`.

    `source` names the command for observers. If the page cannot be stored as a whole, each user is stored
    separately, so that one bad row does not affect the others. A dry run writes nothing. Raises
    django.db.Error if no user could be stored.
    """
    if not profiles:
        return PageResult(outcomes={})
    if dry_run:
        return PageResult(outcomes=_plan(profiles).outcomes)
    try:
        with locked_transaction(*(profile.clerk_id for profile in profiles)):
            plan = _plan(profiles)
            rows = get_identity_model().objects
            rows.bulk_create(plan.created)
            rows.bulk_update(plan.updated, _get_columns(profiles), batch_size=500)
            refused = {} if is_user_model() else _write_users(plan)
    except Error:
        return _sync_each(profiles, source=source)
    notify_page_synced(source=source, outcomes=plan.outcomes)
    for profile in profiles:
        notify_unusable_fields(profile, source=source, refused=refused.get(profile.clerk_id, ()))
    return PageResult(outcomes=plan.outcomes)


def _write_users(plan: _Plan) -> dict[str, tuple[str, ...]]:
    """Create and update the users of the page one by one; return the refused columns by Clerk id."""
    refused = {each.clerk_id: create_user(each) for each in plan.created}
    for each in plan.updated:
        refused[each.clerk_id] = write_user(each, before=plan.before[each.clerk_id])
    return refused


def _plan(profiles: Sequence[ClerkProfile]) -> _Plan:
    plan = _Plan()
    rows = _get_rows_by_clerk_id(profiles)
    for profile in profiles:
        plan.outcomes[profile.clerk_id] = _plan_user(plan, profile, rows.get(profile.clerk_id, []))
    return plan


def _get_columns(profiles: Sequence[ClerkProfile]) -> tuple[str, ...]:
    """Return the columns that the page reads and writes."""
    extra = ("extra",) if any(profile.has_extra for profile in profiles) else ()
    return (*FIELDS, *extra, "field_versions", "updated_at")


def _get_rows_by_clerk_id(profiles: Sequence[ClerkProfile]) -> dict[str, list[_Row]]:
    ids = [profile.clerk_id for profile in profiles]
    found = get_identity_model().objects.live_or_deleted().filter(clerk_id__in=ids)
    user_column = () if is_user_model() else ("user_id",)
    # Dictionaries: model instances of rows that mostly do not change would take a fifth of the time.
    rows: defaultdict[str, list[_Row]] = defaultdict(list)
    columns = (*user_column, *_get_columns(profiles))
    for row in found.values("pk", "clerk_id", "deleted_at", "deleted_by", *columns):
        rows[row["clerk_id"]].append(row)
    return rows


def _plan_user(plan: _Plan, profile: ClerkProfile, rows: list[_Row]) -> Outcome:
    live = next((row for row in rows if _is_live(row)), None)
    decision = decide(
        is_live=live is not None,
        deleted_by=[row["deleted_by"] for row in rows if row is not live],
        source=profile.source,
    )
    if decision is Decision.CREATE:
        plan.created.append(build_identity(profile))
        return Outcome.CREATED
    if decision is not Decision.UPDATE or live is None:
        return Outcome.STALE
    return _plan_update(plan, profile, live)


def _is_live(row: _Row) -> bool:
    return row["deleted_at"] is None and row.get("user_id", True) is not None


def _plan_update(plan: _Plan, profile: ClerkProfile, live: _Row) -> Outcome:
    merged = merge_values(live, live["field_versions"], profile)
    if merged.stale:
        return Outcome.STALE
    if not merged.values and merged.versions is None:
        return Outcome.UNCHANGED
    row = get_identity_model()(**live | dict(merged.values))
    plan.before[profile.clerk_id] = live
    if merged.versions is not None:
        row.field_versions = dict(merged.versions)
    if merged.values:
        row.updated_at = timezone.now()
    plan.updated.append(row)
    return Outcome.UPDATED if merged.values else Outcome.UNCHANGED


def _sync_each(profiles: Sequence[ClerkProfile], *, source: str) -> PageResult:
    outcomes: dict[str, Outcome] = {}
    failed = []
    for profile in sorted(profiles, key=lambda profile: profile.clerk_id):
        try:
            outcomes[profile.clerk_id] = sync_user(profile, source=source).outcome
        except Error as error:
            failed.append(profile.clerk_id)
            notify_failed(profile.clerk_id, source=source, reason=failure_reason(error))
    if not outcomes:
        raise DatabaseError("No user of this page could be stored.")
    return PageResult(outcomes=outcomes, failed=tuple(failed))
