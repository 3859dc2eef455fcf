"""One person, fetched afresh from Clerk: the repair that needs no stored personal data."""

from __future__ import annotations

from accounts.bulk.pages import ask, milliseconds
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.clerk.profiles import Source, profile_from_user
from accounts.models import User
from accounts.sync import SyncResult, restore_user, sync_user


def refresh_user(api: ClerkAPI, clerk_id: str, *, clock: Clock) -> SyncResult | None:
    """Fetch the person and merge what Clerk says; None when Clerk knows nobody of this id.

    Raises `ClerkAPIError`, `UnusableProfile` and `django.db.DatabaseError`.
    """
    answer = api.find_user(clerk_id)
    if answer.user is None:
        return None
    now = milliseconds(clock)
    return sync_user(
        profile_from_user(answer.user, source=Source.API, observed_at=answer.answered_at, now=now)
    )


def restore_from_clerk(api: ClerkAPI, row: User, *, clock: Clock) -> bool:
    """End the row's deletion if Clerk shows the person alive, and merge what it says; False if it does not.

    Raises `RestoreRefused`, `ClerkAPIError`, `UnusableProfile` and `django.db.DatabaseError`.
    """
    answer, moment = ask(api, row.clerk_id or "", clock=clock)
    if answer.user is None:
        return False
    now = milliseconds(clock)
    profile = profile_from_user(answer.user, source=Source.API, observed_at=answer.answered_at, now=now)
    restore_user(row, at=moment)
    sync_user(profile)
    return True
