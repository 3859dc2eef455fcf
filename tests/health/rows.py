"""Rows as the other rooms would have written them, at a given time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from accounts.models import CreatedVia, SyncRun, User
from health.models import FailureKey, Failures
from webhooks.models import EventOutcome, WebhookEvent

NUMBERS = count(1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def person(
    clerk_id: str | None = None, *, at: datetime, via: str = CreatedVia.REQUEST, **values: object
) -> User:
    """Make a person who was first seen at that time."""
    number = next(NUMBERS)
    user = User(
        clerk_id=clerk_id or f"user_made{number}", username=f"made-{number}", created_via=via, **values
    )
    user.save()
    User.objects.filter(pk=user.pk).update(created_at=at)
    return user


def event(
    clerk_id: str | None = None,
    *,
    at: datetime,
    outcome: str = EventOutcome.UPDATED,
    lag: timedelta = timedelta(seconds=1),
) -> WebhookEvent:
    """Make a delivery that came at that time, so long after the event."""
    return WebhookEvent.objects.create(
        svix_id=f"msg_{next(NUMBERS)}",
        type="user.updated",
        clerk_id=clerk_id,
        occurred_at=at - lag,
        received_at=at,
        outcome=outcome,
    )


def run(*, at: datetime, kind: str = SyncRun.Kind.BACKFILL, status: str = SyncRun.Status.DONE) -> SyncRun:
    """Make a run that ended at that time."""
    made = SyncRun.objects.create(kind=kind, status=status)
    SyncRun.objects.filter(pk=made.pk).update(started_at=at - MINUTE, finished_at=at)
    return made


def failures(
    clerk_id: str = "", *, at: datetime, source: str = "request", reason: str = "lock_timeout", times: int = 1
) -> Failures:
    """Make what a process has counted."""
    key = FailureKey(clerk_id=clerk_id, source=source, reason=reason)
    return Failures(key=key, count=times, first_at=at, last_at=at)
