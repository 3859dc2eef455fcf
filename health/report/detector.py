"""Dead webhooks, found without asking anybody: people who came to us and of whom Clerk never sent word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, Min, OuterRef

from accounts.models import CreatedVia, SyncRun, User
from webhooks.models import WebhookEvent

DAY = timedelta(days=1)
SAMPLE = 5_000
ANNOUNCED = Exists(WebhookEvent.objects.filter(clerk_id=OuterRef("clerk_id")))
RETURNED = Exists(
    User.objects.filter(
        clerk_id=OuterRef("clerk_id"), deleted_at__isnull=False, created_at__lt=OuterRef("created_at")
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """People of the last day without a webhook, and their share of those who should have had one.

    Of the newest 5,000, should there be more.
    """

    count: int
    share: float


NOBODY = Missed(count=0, share=0.0)


def find_missed(*, now: datetime) -> Missed | None:
    """Count the people whose webhook should have come by now; None while there is no telling.

    Note [Who counts]
    A webhook is only owed for a person that Clerk made after the endpoint was known to work: people who had
    an account before meet us in a request for the first time without any event, and a finished backfill is
    what brings those in. A fresh row for somebody who was deleted here has no event either. Whose word came
    late is not missed: that is lag.
    """
    since = _trusted_since()
    if since is None:
        return None
    born = User.objects.filter(
        created_via=CreatedVia.REQUEST,
        created_at__gt=max(since, now - DAY),
        created_at__lte=now - timedelta(minutes=settings.HEALTH_MISSED_WEBHOOK_MINUTES),
    )
    # Asked person by person, for so many and no more: a rush must not make the report slow.
    answers = born.annotate(announced=ANNOUNCED, returned=RETURNED).order_by("-created_at")[:SAMPLE]
    owed = [announced for announced, returned in answers.values_list("announced", "returned") if not returned]
    missed = owed.count(False)
    return Missed(count=missed, share=round(missed / max(len(owed), 1), 4))


def _trusted_since() -> datetime | None:
    """Give the moment from which on each new person is owed a webhook.

    `prune_history` may move it forward, after a long silence into the last day: then fewer are owed one.
    """
    backfilled = SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    moments = (
        WebhookEvent.objects.aggregate(first=Min("received_at"))["first"],
        backfilled.aggregate(first=Min("finished_at"))["first"],
    )
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) else None
