"""The effects of events: each event takes effect once, in one transaction with its row in the ledger."""

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
from accounts.conf import get_extra_fields
from accounts.db import (
    failure_reason,
    retry_on_dead_connection,
    start_deadline,
    write_alias,
    write_connection,
)
from accounts.signals import sync_failed
from accounts.sync import delete_user, sync_user
from webhooks.events import Event
from webhooks.models import DUPLICATE, EventOutcome, WebhookEvent
from webhooks.signals import webhook_received
from webhooks.turns import TurnNotFree, Turns

logger = logging.getLogger(__name__)
turns = Turns()


class SyncUnavailable(Exception):
    """The event had no effect because of an error on our side: it must be delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The effect that an event asks for on one user; without an effect, the outcome to record."""

    clerk_id: str | None = None
    effect: Callable[[], str] | None = None
    outcome: EventOutcome = EventOutcome.UNCHANGED
    error_code: str = ""


def process_event(event: Event, *, svix_id: str, received_at: int) -> str:
    """Apply the event unless an earlier delivery did, and return the outcome.

    `received_at` is in milliseconds. Raises SyncUnavailable after the failure was recorded and observers were
    notified.
    """
    entry = WebhookEvent(
        svix_id=svix_id,
        type=event.label,
        occurred_at=_to_datetime(event.occurred_at),
        received_at=_to_datetime(received_at),
    )
    try:
        plan = plan_effect(event, received_at=received_at)
        entry.clerk_id, entry.outcome, entry.error_code = plan.clerk_id, plan.outcome, plan.error_code
        start_deadline()  # it includes the wait for the turn
        with turns.take(plan.clerk_id or svix_id):
            outcome = retry_on_dead_connection(partial(_apply_once, entry, effect=plan.effect))
    except Exception as error:  # any error on our side: Svix delivers the event again
        _handle_failure(entry, error=error)
        raise SyncUnavailable from error
    _notify_received(entry, outcome=outcome)
    if outcome == EventOutcome.REJECTED:
        sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason="unusable_profile")
    return outcome


def plan_effect(event: Event, *, received_at: int) -> Plan:
    """Return what the event asks for, without doing it or reading the database; raise nothing.

    `received_at` is in milliseconds.
    """
    effect = EFFECTS.get(event.type)
    if effect is None:
        return Plan(outcome=EventOutcome.IGNORED)
    try:
        profile = profile_from_user(
            event.data,
            source=Source.WEBHOOK,
            observed_at=event.occurred_at,
            now=received_at,
            extra_fields=get_extra_fields(),
        )
    except UnusableProfile as refusal:
        return Plan(outcome=EventOutcome.REJECTED, error_code=refusal.reason)
    return Plan(clerk_id=profile.clerk_id, effect=partial(effect, profile, occurred_at=event.occurred_at))


def _sync_user(profile: ClerkProfile, *, occurred_at: int) -> str:
    return sync_user(profile).outcome


def _delete_user(profile: ClerkProfile, *, occurred_at: int) -> str:
    return delete_user(profile.clerk_id, at=occurred_at)


# `user.created` may arrive after an update. Both hold the whole user, so the merge rule handles them alike.
EFFECTS: dict[str, Callable[..., str]] = {
    "user.created": _sync_user,
    "user.updated": _sync_user,
    "user.deleted": _delete_user,
}


def _apply_once(entry: WebhookEvent, *, effect: Callable[[], str] | None = None) -> str:
    """Record the event and apply its effect in one transaction, unless an earlier delivery succeeded."""
    with transaction.atomic(using=write_alias(), durable=True):
        claim = WebhookEvent.objects.claim(entry)
        if claim.is_done:
            return DUPLICATE
        outcome = effect() if effect else entry.outcome
        # A new row has the planned outcome already, so that a delivery that changes nothing needs no UPDATE.
        if claim.attempts > 1 or outcome != claim.outcome:
            WebhookEvent.objects.filter(pk=claim.pk).update(outcome=outcome, error_code=entry.error_code)
        return outcome


def _handle_failure(entry: WebhookEvent, *, error: Exception) -> None:
    """Record the failure if the database is available, then log it and notify observers."""
    entry.outcome, entry.error_code = EventOutcome.FAILED, _get_failure_code(error)
    # No connection means that none could be opened: do not wait for a second attempt. After TurnNotFree, the
    # row in the ledger may be locked by the delivery that this one did not wait for.
    if write_connection().connection is not None and not isinstance(error, TurnNotFree):
        with suppress(Error):
            retry_on_dead_connection(partial(_apply_once, entry))
    _notify_received(entry, outcome=EventOutcome.FAILED)
    sync_failed.send_robust(WebhookEvent, clerk_id=entry.clerk_id, source="webhook", reason=entry.error_code)


def _get_failure_code(error: Exception) -> str:
    if isinstance(error, TurnNotFree):
        return "lock_timeout"
    if isinstance(error, Error):
        return failure_reason(error)
    # The text of the exception may hold values of the event, so only its class is logged.
    log_unexpected(logger, "Unexpected error in a webhook handler", error=error)
    return "unexpected_error"


def _notify_received(entry: WebhookEvent, *, outcome: str) -> None:
    """Log the outcome and send `webhook_received`."""
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


def _to_datetime(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
