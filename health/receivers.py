"""Receivers of the signals of accounts and webhooks: they record failures, close them and count.

While no failure is open, a successful sync pays one statement for them, a first request and a webhook none.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.core.signals import request_finished
from django.db import Error
from django.dispatch import receiver
from django.utils import timezone

from accounts.db import retry_on_dead_connection, write_connection
from accounts.deadline import Breaker, database_deadline
from accounts.signals import authentication_decided, page_synced, sync_failed, user_synced
from accounts.sync import Outcome
from health import metrics
from health.models import SyncFailure
from health.recorder import recorder
from webhooks.models import DUPLICATE
from webhooks.signals import webhook_received

logger = logging.getLogger(__name__)
breaker = Breaker("failures")


@receiver(sync_failed, dispatch_uid=__name__)
def record_failure(sender: object, *, clerk_id: str | None, source: str, reason: str, **_: Any) -> None:
    """Count, log and record the failure."""
    metrics.FAILURES.labels(source, reason).inc()
    logger.warning(
        "Sync failed", extra={"clerk_id": clerk_id, "source": source, "outcome": "failed", "reason": reason}
    )
    recorder.record(clerk_id=clerk_id, source=source, reason=reason, at=timezone.now())


@receiver(request_finished, dispatch_uid=__name__)
@database_deadline(breaker)
def write_pending_failures(sender: object, **_: Any) -> None:
    """Write the failures that are due, after any response."""
    connection = write_connection()
    is_returned = connection.connection is None
    recorder.flush(now=timezone.now())
    if is_returned:
        # Django has ended the request's use of its connection: a pool would miss the one of this write until
        # the next request of this thread.
        connection.close_if_unusable_or_obsolete()


@receiver(user_synced, dispatch_uid=__name__)
def close_failures(sender: object, *, clerk_id: str, source: str, outcome: str, **_: Any) -> None:
    """Count the success, and close the user's open failures unless a stored row resolves them.

    Any outcome is a success.
    """
    metrics.SYNCS.labels(source, outcome).inc()
    is_first_request = source == "request" and outcome == Outcome.CREATED
    if source != "webhook" and not is_first_request:  # Note [Resolved without a statement]
        _close([clerk_id])


@receiver(page_synced, dispatch_uid=__name__)
def close_failures_of_page(sender: object, *, source: str, outcomes: Mapping[str, str], **_: Any) -> None:
    """Count a page of successes and close the open failures of its users with one statement."""
    for outcome, count in Counter(outcomes.values()).items():
        metrics.SYNCS.labels(source, outcome).inc(count)
    _close(list(outcomes))


@receiver(webhook_received, dispatch_uid=__name__)
def count_webhook(sender: object, *, event_type: str, outcome: str, lag_seconds: float, **_: Any) -> None:
    """Count the delivery; only a first delivery has a meaningful lag."""
    metrics.WEBHOOKS.labels(metrics.event_label(event_type), outcome).inc()
    if outcome != DUPLICATE:
        metrics.WEBHOOK_LAG.observe(max(lag_seconds, 0.0))


@receiver(authentication_decided, dispatch_uid=__name__)
def count_authentication(sender: object, *, outcome: str, is_unknown_key: bool = False, **_: Any) -> None:
    """Count a verified or refused token; unknown keys apart, because anyone can send them."""
    metrics.AUTHENTICATIONS.labels("unknown_key" if is_unknown_key else outcome).inc()
    metrics.key_sampler.sample()


def _close(clerk_ids: Sequence[str]) -> None:
    now = timezone.now()
    # Pending failures of these users come first: written later, they would open a row after the success.
    recorder.flush(now=now, force=recorder.is_pending_for(clerk_ids))
    try:
        retry_on_dead_connection(partial(SyncFailure.objects.close_for, clerk_ids, at=now))
    except Error:
        # They stay open until the next success of these users: a false alarm, never a missed one.
        logger.warning("Failures could not be closed", extra={"people": len(clerk_ids)})
