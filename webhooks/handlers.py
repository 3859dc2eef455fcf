"""What an event does here, and the transaction in which it does it once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from django.db import Error, transaction

from accounts.clerk.profiles import ClerkProfile, Source, UnusableProfile, profile_from_user
from accounts.clerk.unexpected import log_unexpected
from accounts.db import failure_reason, retry_on_dead_connection, write_alias, write_connection
from accounts.signals import sync_failed
from accounts.sync import delete_user, sync_user
from webhooks.events import Event
from webhooks.models import DUPLICATE, EventOutcome, WebhookEvent
from webhooks.signals import webhook_received

logger = logging.getLogger(__name__)


class SyncUnavailable(Exception):
    """The event had no effect and the fault is ours: it must be delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an event asks for: an effect on one person, or none, and then why."""

    clerk_id: str | None = None
    effect: Callable[[], str] | None = None
    outcome: EventOutcome = EventOutcome.UNCHANGED
    error_code: str = ""


def deliver(event: Event, *, svix_id: str, received_at: int) -> str:
    """Give the event its one effect, however often and however parallel it comes, and return the outcome.

    `received_at` is in milliseconds. Raises `SyncUnavailable` after the failure was recorded and reported.
    """
    entry = WebhookEvent(
        svix_id=svix_id,
        type=event.label,
        occurred_at=_datetime(event.occurred_at),
        received_at=_datetime(received_at),
        outcome=EventOutcome.UNCHANGED,
    )
    try:
        reading = read(event, received_at=received_at)
        entry.clerk_id = reading.clerk_id
        entry.outcome = reading.outcome
        entry.error_code = reading.error_code
        outcome = retry_on_dead_connection(partial(_take_effect, entry, effect=reading.effect))
    except Exception as error:  # whatever goes wrong here is our trouble, and Svix keeps what we lost
        _give_up(entry, error=error)
        raise SyncUnavailable from error
    _report(entry, outcome=outcome)
    if outcome == EventOutcome.REJECTED:
        sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason="unusable_profile")
    return outcome


def read(event: Event, *, received_at: int) -> Reading:
    """Find out what the event asks for; nothing is done yet."""
    effect = EFFECTS.get(event.type)
    if effect is None:
        return Reading(outcome=EventOutcome.IGNORED)
    try:
        profile = profile_from_user(
            event.data, source=Source.WEBHOOK, observed_at=event.occurred_at, now=received_at
        )
    except UnusableProfile as refusal:
        return Reading(outcome=EventOutcome.REJECTED, error_code=refusal.reason)
    return Reading(clerk_id=profile.clerk_id, effect=partial(effect, profile, occurred_at=event.occurred_at))


def _sync(profile: ClerkProfile, *, occurred_at: int) -> str:
    return sync_user(profile).outcome


def _delete(profile: ClerkProfile, *, occurred_at: int) -> str:
    return delete_user(profile.clerk_id, at=occurred_at)


# A creation is an update that may come late: both carry the whole person, and the merge rule alone decides.
EFFECTS: dict[str, Callable[..., str]] = {
    "user.created": _sync,
    "user.updated": _sync,
    "user.deleted": _delete,
}


def _take_effect(entry: WebhookEvent, *, effect: Callable[[], str] | None) -> str:
    with transaction.atomic(using=write_alias(), durable=True):
        claim = WebhookEvent.objects.claim(entry)
        if claim.is_done:
            return DUPLICATE
        outcome = effect() if effect else entry.outcome
        # The row was inserted with the usual ending, so that the usual delivery costs one statement less.
        if outcome != claim.outcome:
            WebhookEvent.objects.filter(pk=claim.pk).update(outcome=outcome, error_code=entry.error_code)
        return outcome


def _give_up(entry: WebhookEvent, *, error: Exception) -> None:
    """Leave word of a failure, in the ledger if the database lets us."""
    reason = _reason(error)
    entry.outcome, entry.error_code = EventOutcome.FAILED, reason
    # Without a connection none could be opened: do not wait for one a second time.
    if write_connection().connection is not None:
        with suppress(Error):
            _record_failure(entry)
    _report(entry, outcome=EventOutcome.FAILED)
    sync_failed.send_robust(WebhookEvent, clerk_id=entry.clerk_id, source="webhook", reason=reason)


def _reason(error: Exception) -> str:
    if not isinstance(error, Error):
        # A bug of ours: its text may hold what the event held, so its class must do.
        log_unexpected(logger, "Webhook handler broke", error=error)
        return "unexpected_error"
    return failure_reason(error)


def _record_failure(entry: WebhookEvent) -> None:
    with transaction.atomic(using=write_alias(), durable=True):
        claim = WebhookEvent.objects.claim(entry)
        # Another delivery of the same event may have succeeded since: its outcome stands.
        if not claim.is_done:
            WebhookEvent.objects.filter(pk=claim.pk).update(error_code=entry.error_code)


def _report(entry: WebhookEvent, *, outcome: str) -> None:
    level = logging.ERROR if outcome == EventOutcome.FAILED else logging.INFO
    logger.log(
        level,
        "Webhook event handled",
        extra={
            "svix_id": entry.svix_id,
            "event_type": entry.type,
            "clerk_id": entry.clerk_id,
            "outcome": outcome,
            "error_code": entry.error_code,
        },
    )
    lag = (entry.received_at - entry.occurred_at).total_seconds()
    webhook_received.send_robust(WebhookEvent, event_type=entry.type, outcome=outcome, lag_seconds=lag)


def _datetime(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
