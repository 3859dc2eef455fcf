"""Hears what the other rooms report, decides nothing for them, and costs a usual request no statement."""

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

from accounts.db import after_commit, retry_on_dead_connection, write_connection
from accounts.signals import authentication_decided, page_synced, sync_failed, user_synced
from health import metrics
from health.models import SyncFailure
from health.recorder import recorder
from webhooks.signals import webhook_received

logger = logging.getLogger(__name__)


@receiver(sync_failed, dispatch_uid="health")
def record_failure(sender: object, *, clerk_id: str | None, source: str, reason: str, **_: Any) -> None:
    """Count the failure, log a line, and have it recorded."""
    metrics.FAILURES.labels(source, reason).inc()
    logger.warning(
        "Sync failed", extra={"clerk_id": clerk_id, "source": source, "outcome": "failed", "reason": reason}
    )
    recorder.record(clerk_id=clerk_id, source=source, reason=reason, at=timezone.now())


@receiver(request_finished, dispatch_uid="health")
def write_what_waits(sender: object, **_: Any) -> None:
    """Write what an outage or a flood has held back, after an answer of any kind."""
    recorder.flush(now=timezone.now())


@receiver(user_synced, dispatch_uid="health")
def close_failures(sender: object, *, clerk_id: str, source: str, outcome: str, **_: Any) -> None:
    """Count the success and close what was open for the person, whatever the outcome was."""
    metrics.SYNCS.labels(source, outcome).inc()
    if source == "webhook":
        return  # Note [Mended by a webhook] in health.models
    _close_after_commit([clerk_id])


@receiver(page_synced, dispatch_uid="health")
def close_failures_of_page(sender: object, *, source: str, outcomes: Mapping[str, str], **_: Any) -> None:
    """Count a page of successes and close what was open for its people, by one statement."""
    for outcome, people in Counter(outcomes.values()).items():
        metrics.SYNCS.labels(source, outcome).inc(people)
    _close_after_commit(list(outcomes))


@receiver(webhook_received, dispatch_uid="health")
def count_webhook(sender: object, *, event_type: str, outcome: str, lag_seconds: float, **_: Any) -> None:
    """Count the delivery; a repeated one says nothing about the lag."""
    metrics.WEBHOOKS.labels(metrics.event_type(event_type), outcome).inc()
    if outcome != "duplicate":
        metrics.WEBHOOK_LAG.observe(max(lag_seconds, 0.0))


@receiver(authentication_decided, dispatch_uid="health")
def count_authentication(sender: object, *, outcome: str, **_: Any) -> None:
    """Count a token that was judged."""
    metrics.AUTHENTICATIONS.labels(outcome).inc()
    metrics.key_sampler.sample()


def _close_after_commit(clerk_ids: Sequence[str]) -> None:
    if write_connection().in_atomic_block:
        after_commit(partial(_close, clerk_ids))
    else:
        _close(clerk_ids)


def _close(clerk_ids: Sequence[str]) -> None:
    now = timezone.now()
    # First what waits here, or it would be recorded as new after the people were mended.
    recorder.flush(now=now, everything=recorder.holds(clerk_ids))
    try:
        retry_on_dead_connection(partial(SyncFailure.objects.close_for, clerk_ids, at=now))
    except Error:
        # They stay open until the people's next success: a wrong alarm, never a missed one.
        logger.warning("Failures could not be closed", extra={"people": len(clerk_ids)})
