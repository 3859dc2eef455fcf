"""Notify observers of the result of a sync, after the commit of the transaction if there is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from django.dispatch import Signal

from accounts.clerk.profiles import ClerkProfile
from accounts.db import after_commit
from accounts.models import get_identity_model
from accounts.signals import page_synced, sync_failed, user_synced


def notify_synced(clerk_id: str, *, source: str, outcome: str) -> None:
    """Notify observers of the outcome for one user."""
    _notify(user_synced, clerk_id=clerk_id, source=source, outcome=outcome)


def notify_page_synced(*, source: str, outcomes: Mapping[str, str]) -> None:
    """Notify observers of the outcomes by Clerk id."""
    _notify(page_synced, source=source, outcomes=outcomes)


def notify_failed(clerk_id: str | None, *, source: str, reason: str) -> None:
    """Notify observers of a failure."""
    _notify(sync_failed, clerk_id=clerk_id, source=source, reason=reason)


def notify_unusable_fields(profile: ClerkProfile, *, source: str, refused: Collection[str] = ()) -> None:
    """Notify observers of each value that could not be stored.

    `refused` are the columns of the project's user that did not accept one.
    """
    for field in (*profile.unusable, *(f"user.{column}" for column in refused)):
        notify_failed(profile.clerk_id, source=source, reason=f"unusable_field:{field}"[:100])


def _notify(signal: Signal, **values: object) -> None:
    after_commit(partial(signal.send_robust, sender=get_identity_model(), **values))
