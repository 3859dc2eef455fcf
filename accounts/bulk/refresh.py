"""Refresh: fetch one user from Clerk and update the row."""

from __future__ import annotations

from accounts.bulk.pages import fetch_user, read_milliseconds
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.clerk.profiles import Source, profile_from_user
from accounts.models import User
from accounts.sync import SyncResult, restore_user, sync_user


def refresh_user(api: ClerkAPI, clerk_id: str, *, clock: Clock) -> SyncResult | None:
    """Fetch the user and merge the profile into the row; return None if Clerk has no such user.

    Raises ClerkAPIError, UnusableProfile and django.db.Error.
    """
    return _refresh(api, clerk_id, clock=clock, restored=None)


def restore_from_clerk(api: ClerkAPI, row: User, *, clock: Clock) -> bool:
    """End the deletion of the row if the user exists in Clerk, and merge the profile; return whether it does.

    Raises RestoreRefused, ClerkAPIError, UnusableProfile and django.db.Error.
    """
    return _refresh(api, row.clerk_id or "", clock=clock, restored=row) is not None


def _refresh(api: ClerkAPI, clerk_id: str, *, clock: Clock, restored: User | None) -> SyncResult | None:
    answer, at = fetch_user(api, clerk_id, clock=clock)
    if answer.user is None:
        return None
    now = read_milliseconds(clock)
    profile = profile_from_user(answer.user, source=Source.API, observed_at=answer.answered_at, now=now)
    if restored is not None:
        restore_user(restored, at=at)
    return sync_user(profile)
