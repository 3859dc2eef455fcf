"""The effects of events: each event takes effect once, in one transaction with its row in the ledger.

The project's own handlers run afterwards: `webhooks.dispatch`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from django.db import Error, transaction

from accounts.clerk.profiles import ClerkProfile, Source, UnusableProfile, profile_from_user
from accounts.clerk.unexpected import log_unexpected
from accounts.conf import get_extra_fields
from accounts.db import (
    failure_reason,
    restart_deadline,
    retry_on_dead_connection,
    start_deadline,
    write_alias,
    write_connection,
)
from accounts.signals import sync_failed
from accounts.sync import delete_user, sync_user
from webhooks.dispatch import HANDLERS_SECONDS, HandlerFailed, record_handler_failure, run_once
from webhooks.events import Event
from webhooks.models import DUPLICATE, EventOutcome, WebhookEvent
from webhooks.registry import ClerkEvent, registry
from webhooks.signals import webhook_received
from webhooks.turns import TurnNotFree, Turns

logger = logging.getLogger(__name__)
turns = Turns()


class SyncUnavailable(Exception):
    """The event had no effect because of an error on our side: it must be delivered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The effect of an event on one user, and the outcome to record; with an effect it is the usual one."""

    outcome: EventOutcome
    clerk_id: str | None = None
    effect: Callable[[], str] | None = None
    error_code: str = ""


class Applied(NamedTuple):
    """What is in the ledger after our own effect: the outcome of the first delivery that had it."""

    outcome: str
    is_repeat: bool = False
    is_handled: bool = False


def process_event(event: Event, *, svix_id: str, received_at: int) -> str:
    """Apply the event and run its handlers, unless an earlier delivery did, and return the outcome.

    `received_at` is in milliseconds. Raises SyncUnavailable after the failure was recorded and observers were
    notified.
    """
    entry = WebhookEvent(
        svix_id=svix_id,
        type=event.label,
        occurred_at=_to_datetime(event.occurred_at),
        received_at=_to_datetime(received_at),
    )
    applied = None
    try:
        plan = plan_effect(event, received_at=received_at)
        entry.clerk_id, entry.outcome, entry.error_code = plan.clerk_id, plan.outcome, plan.error_code
        start_deadline()  # it includes the wait for the turn
        with turns.take(plan.clerk_id or svix_id):
            applied = retry_on_dead_connection(partial(_apply_once, entry, effect=plan.effect))
        outcome = _run_handlers(event, entry, applied=applied)
    except HandlerFailed as failure:
        _handle_failed_handler(entry, failure=failure)
        raise SyncUnavailable from failure
    except Exception as error:  # any error on our side: Svix delivers the event again
        _handle_failure(entry, error=error, is_stored=applied is not None)
        raise SyncUnavailable from error
    _notify_received(entry, outcome=outcome)
    if outcome == EventOutcome.REJECTED:
        sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason="unusable_profile")
    return outcome


def plan_effect(event: Event, *, received_at: int) -> Plan:
    """Return what the event asks for, without doing it or reading the database; raise nothing.

    `received_at` is in milliseconds.
    """
    if event.type not in EFFECTS:
        return Plan(outcome=EventOutcome.IGNORED)
    effect, usual_outcome = EFFECTS[event.type]
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
    return Plan(
        clerk_id=profile.clerk_id,
        effect=partial(effect, profile, occurred_at=event.occurred_at),
        outcome=usual_outcome,
    )


def _sync_user(profile: ClerkProfile, *, occurred_at: int) -> str:
    return sync_user(profile, is_locked=True).outcome


def _delete_user(profile: ClerkProfile, *, occurred_at: int) -> str:
    return delete_user(profile.clerk_id, at=occurred_at, is_locked=True)


# The effect of each type, and the outcome that its row is inserted with. `user.created` may arrive after an
# update: both hold the whole user, so the merge rule handles them alike.
EFFECTS: dict[str, tuple[Callable[..., str], EventOutcome]] = {
    "user.created": (_sync_user, EventOutcome.CREATED),
    "user.updated": (_sync_user, EventOutcome.UNCHANGED),
    "user.deleted": (_delete_user, EventOutcome.DELETED),
}


def _run_handlers(event: Event, entry: WebhookEvent, *, applied: Applied) -> str:
    """Run the project's handlers unless they have run, and return the outcome of this delivery.

    Raises HandlerFailed, django.db.Error, and TurnNotFree while another delivery of this event runs them.
    """
    handlers = registry.get_handlers(event.type)
    is_refused = applied.outcome == EventOutcome.REJECTED
    if applied.is_handled or is_refused or not handlers or not isinstance(event.data, dict):
        return DUPLICATE if applied.is_repeat else applied.outcome
    outcome = None if applied.outcome == EventOutcome.IGNORED else applied.outcome
    given = ClerkEvent(
        type=event.type,
        occurred_at=entry.occurred_at,
        instance_id=event.instance_id,
        data=event.data,
        outcome=outcome,
    )
    # The turn of the user has ended: other events of this user need not wait for a handler. This turn keeps
    # repeats of one event, whose handler is slow, from holding every thread.
    restart_deadline(seconds=HANDLERS_SECONDS)  # it includes the wait for the turn
    with turns.take(entry.svix_id):
        has_run = run_once(handlers, given, svix_id=entry.svix_id)
    return (outcome or EventOutcome.HANDLED) if has_run else DUPLICATE


def _apply_once(entry: WebhookEvent, *, effect: Callable[[], str] | None = None) -> Applied:
    """Record the event and apply its effect in one transaction, unless an earlier delivery succeeded."""
    with transaction.atomic(using=write_alias(), durable=True):
        # To record a failure needs no lock on the user, which may be what the failed delivery waited for.
        locked = [entry.clerk_id] if effect and entry.clerk_id else []
        claim = WebhookEvent.objects.claim(entry, locked=locked)
        if claim.is_done:
            return Applied(claim.outcome, is_repeat=True, is_handled=claim.is_handled)
        outcome = effect() if effect else entry.outcome
        # A new row has the planned outcome already, so that the usual delivery needs no UPDATE.
        if claim.attempts > 1 or outcome != claim.outcome:
            WebhookEvent.objects.filter(pk=claim.pk).update(outcome=outcome, error_code=entry.error_code)
        return Applied(outcome)


def _handle_failed_handler(entry: WebhookEvent, *, failure: HandlerFailed) -> None:
    """Record the failure of a project's handler, log it and notify observers. Our effect stays."""
    entry.error_code = type(failure.error).__name__
    record_handler_failure(failure, svix_id=entry.svix_id)
    _notify_received(entry, outcome=EventOutcome.FAILED)
    reason = f"handler_failed:{failure.name}"
    sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason=reason)


def _handle_failure(entry: WebhookEvent, *, error: Exception, is_stored: bool) -> None:
    """Record the failure if the database is available, then log it and notify observers.

    After our own effect, whose outcome is stored, the ledger needs no entry: the handlers are still to run.
    """
    entry.outcome, entry.error_code = EventOutcome.FAILED, _get_failure_code(error)
    # No connection means that none could be opened: do not wait for a second attempt. After TurnNotFree, the
    # row in the ledger may be locked by the delivery that this one did not wait for.
    is_reachable = write_connection().connection is not None and not isinstance(error, TurnNotFree)
    if is_reachable and not is_stored:
        with suppress(Error):
            retry_on_dead_connection(partial(_apply_once, entry))
    _notify_received(entry, outcome=EventOutcome.FAILED)
    if isinstance(error, TurnNotFree) and (is_stored or entry.clerk_id is None):
        return  # an earlier delivery of this very event is in progress, and records its own failure
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
