"""Detect missing webhooks without calling Clerk: users who signed in, but of whom no event arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, Min, OuterRef

from accounts.conf import settings
from accounts.models import CreatedVia, SyncRun, get_identity_model
from webhooks.models import WebhookEvent

DAY = timedelta(days=1)
MAX_USERS = 5_000
HAS_EVENT = Exists(WebhookEvent.objects.filter(clerk_id=OuterRef("clerk_id")))


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedWebhooks:
    """How many users of the last day have no event, and their share of the users who should have one."""

    count: int = 0
    share: float = 0.0


def count_missed_webhooks(*, now: datetime) -> MissedWebhooks | None:
    """Count the users whose first event is overdue; return None while this cannot be decided.

    Note [Expected webhooks]
    Clerk sends an event for each user that it creates while the endpoint works. Users who existed before have
    none, so they must not count: the rule starts after the first webhook and the first finished backfill. A
    user who was deleted locally and signs in again has a new row, but is not new in Clerk. An event that came
    late is not missing: the lag shows it.
    """
    since = _expected_since()
    if since is None:
        return None
    identities = get_identity_model().objects
    created = identities.filter(
        created_via=CreatedVia.REQUEST,
        created_at__gt=max(since, now - DAY),
        created_at__lte=now - timedelta(minutes=settings.HEALTH_MISSED_WEBHOOK_MINUTES),
    )
    # Two index look-ups for each user, so their number is limited: the report must stay fast.
    older = identities.filter(
        clerk_id=OuterRef("clerk_id"), deleted_at__isnull=False, created_at__lt=OuterRef("created_at")
    )
    newest = created.annotate(has_event=HAS_EVENT, has_older_row=Exists(older)).order_by("-created_at")
    rows = newest.values_list("has_event", "has_older_row")[:MAX_USERS]
    expected = [has_event for has_event, has_older_row in rows if not has_older_row]
    missed = expected.count(False)
    return MissedWebhooks(count=missed, share=round(missed / max(len(expected), 1), 4))


def _expected_since() -> datetime | None:
    """Return the time from which on each new user should have an event.

    `prune_history` may move it forward, at most into the last day: then fewer users count.
    """
    backfilled = SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    first_event = WebhookEvent.objects.aggregate(first=Min("received_at"))["first"]
    first_backfill = backfilled.aggregate(first=Min("finished_at"))["first"]
    return max(first_event, first_backfill) if first_event and first_backfill else None
