"""Refresh: fetch one user from Clerk and update the row."""

from __future__ import annotations

from accounts.bulk.pages import fetch_user, read_milliseconds
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.clerk.profiles import Source, profile_from_user
from accounts.conf import get_extra_fields
from accounts.models import AbstractClerkIdentity
from accounts.sync import SyncResult, restore_user, sync_user


def refresh_user(
    api: ClerkAPI, clerk_id: str, *, clock: Clock, deleted_row: AbstractClerkIdentity | None = None
) -> SyncResult | None:
    """Fetch the user and merge the profile into the row; return None if Clerk has no such user.

    With `deleted_row`, a row of this user, first end its deletion. Raises ClerkAPIError, UnusableProfile and
    django.db.Error, and RestoreRefused for a `deleted_row`.
    """
    answer, at = fetch_user(api, clerk_id, clock=clock)
    if answer.user is None:
        return None
    now = read_milliseconds(clock)
    profile = profile_from_user(
        answer.user,
        source=Source.API,
        observed_at=answer.answered_at,
        now=now,
        extra_fields=get_extra_fields(),
    )
    if deleted_row is not None:
        restore_user(deleted_row, at=at)
    return sync_user(profile)
