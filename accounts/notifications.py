"""Notify observers of the result of a sync, after the commit of the transaction if there is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from accounts.clerk.profiles import ClerkProfile
from accounts.db import after_commit
from accounts.models import get_identity_model
from accounts.signals import page_synced, sync_failed, user_synced


def notify_synced(clerk_id: str, *, source: str, outcome: str) -> None:
    """Notify observers of the outcome for one user."""
    after_commit(
        partial(
            user_synced.send_robust,
            sender=get_identity_model(),
            clerk_id=clerk_id,
            source=source,
            outcome=outcome,
        )
    )


def notify_page_synced(*, source: str, outcomes: Mapping[str, str]) -> None:
    """Notify observers of the outcomes by Clerk id."""
    after_commit(
        partial(page_synced.send_robust, sender=get_identity_model(), source=source, outcomes=outcomes)
    )


def notify_failed(clerk_id: str | None, *, source: str, reason: str) -> None:
    """Notify observers of a failure."""
    after_commit(
        partial(
            sync_failed.send_robust,
            sender=get_identity_model(),
            clerk_id=clerk_id,
            source=source,
            reason=reason,
        )
    )


def notify_unusable_fields(profile: ClerkProfile, *, source: str, refused: Collection[str] = ()) -> None:
    """Notify observers of each value that could not be stored.

    `refused` are the columns of the project's user that did not accept one.
    """
    for field in (*profile.unusable, *(f"user.{column}" for column in refused)):
        notify_failed(profile.clerk_id, source=source, reason=f"unusable_field:{field}"[:100])
