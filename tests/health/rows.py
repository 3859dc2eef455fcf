"""Rows of the other packages, created at a given time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from accounts.models import CreatedVia, SyncRun, User
from health.models import CountedFailure, FailureKey
from webhooks.models import EventOutcome, WebhookEvent

NUMBERS = count(1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def new_user(
    clerk_id: str | None = None, *, at: datetime, via: str = CreatedVia.REQUEST, **values: object
) -> User:
    """Create a user whose row is from that time."""
    number = next(NUMBERS)
    user = User(clerk_id=clerk_id or f"user_new{number}", username=f"new-{number}", created_via=via, **values)
    user.save()
    User.objects.filter(pk=user.pk).update(created_at=at)
    return user


def event(
    clerk_id: str | None = None,
    *,
    at: datetime,
    outcome: str = EventOutcome.UPDATED,
    lag: timedelta = timedelta(seconds=1),
    failed_handler: str = "",
) -> WebhookEvent:
    """Create a delivery that arrived at that time, `lag` after the event."""
    return WebhookEvent.objects.create(
        svix_id=f"msg_{next(NUMBERS)}",
        type="user.updated",
        clerk_id=clerk_id,
        occurred_at=at - lag,
        received_at=at,
        outcome=outcome,
        failed_handler=failed_handler,
    )


def run(*, at: datetime, kind: str = SyncRun.Kind.BACKFILL, status: str = SyncRun.Status.DONE) -> SyncRun:
    """Create a run that ended at that time."""
    created = SyncRun.objects.create(kind=kind, status=status)
    SyncRun.objects.filter(pk=created.pk).update(started_at=at - MINUTE, finished_at=at)
    return created


def failures(
    clerk_id: str = "", *, at: datetime, source: str = "request", reason: str = "lock_timeout", times: int = 1
) -> CountedFailure:
    """Return a failure that occurred `times` times at that time."""
    key = FailureKey(clerk_id=clerk_id, source=source, reason=reason)
    return CountedFailure(key=key, count=times, first_at=at, last_at=at)
