"""Run the project's own handlers: once for each event, in a transaction after that of our own effect.

Note [Handlers after the effect]
Our effect and its row in the ledger commit first. So a handler that always fails can never keep a banned or
deleted user in. The handlers of an event run in a second transaction that also marks the row as handled: both
commit or neither. A repeat finds the effect, and runs only the handlers.

That transaction holds one lock, an advisory lock on the id of the event. It holds neither the lock on the
user nor, while handlers run, the lock on the row of the ledger: a parallel delivery of the same event has the
turn of its user while it claims the row, and must not wait there for a handler.

Note [The time of handlers]
A handler may be slow for reasons of its own, and must not make the database look slow: the deadline of our
effect, which may open the breaker for all deliveries, ends before the handlers. They have one of their own.
When it has passed, their statements are cut, and a handler that returns later is rolled back. Both are a
failure of that handler, DeadlinePassed. No code can end a handler that is busy elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from inspect import iscoroutine

from django.db import Error, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from accounts.clerk.unexpected import log_unexpected
from accounts.db import (
    locked_transaction,
    restart_deadline,
    retry_on_dead_connection,
    start_deadline,
    write_alias,
    write_connection,
)
from accounts.deadline import DeadlinePassed
from accounts.signals import sync_failed
from webhooks.models import EventOutcome, WebhookEvent
from webhooks.registry import ClerkEvent, Handler, get_name

# Of all handlers of an event together; their callbacks after the commit have as much. With the deadlines of
# our own effect and of the record below, it is less than the 15 s that Svix waits.
HANDLERS_SECONDS = 7.0
RECORD_SECONDS = 2.0

logger = logging.getLogger(__name__)


class HandlerFailed(Exception):
    """A handler raised an exception. Its text may hold values of the event, so only its class is recorded."""

    def __init__(self, name: str, *, error: BaseException) -> None:
        super().__init__()
        self.name, self.error = name, error


def run_once(handlers: Sequence[Handler], event: ClerkEvent, *, svix_id: str) -> bool:
    """Run the handlers and mark the event as handled; return False if another delivery has done so.

    Raises HandlerFailed, or django.db.Error for a failure that is not of a handler. Then nothing of the
    handlers is stored.
    """
    run = partial(_run_in_transaction, handlers, event, svix_id=svix_id)
    return retry_on_dead_connection(run)


def record_handler_failure(failure: HandlerFailed, *, svix_id: str) -> None:
    """Store the names of the handler and of its exception, unless the event was handled meanwhile."""
    log_unexpected(logger, "A webhook handler failed", error=failure.error)
    rows = WebhookEvent.objects.filter(svix_id=svix_id, handled_at=None)
    values = {
        "failed_handler": failure.name[:200],
        "error_code": type(failure.error).__name__[:64],
        # Our effect keeps its outcome. An event that only handlers take has had no effect yet.
        "outcome": Case(When(outcome=EventOutcome.IGNORED, then=Value("failed")), default="outcome"),
    }
    with suppress(Error):
        retry_on_dead_connection(partial(rows.update, **values))


def _run_in_transaction(handlers: Sequence[Handler], event: ClerkEvent, *, svix_id: str) -> bool:
    commits: list[bool] = []
    try:
        with transaction.atomic(using=write_alias(), durable=True), locked_transaction(f"event {svix_id}"):
            rows = WebhookEvent.objects.filter(svix_id=svix_id, handled_at=None)
            if not rows.exists():
                return False
            transaction.on_commit(lambda: commits.append(True), using=write_alias())
            for handler in handlers:
                _run(handler, event)
            restart_deadline(seconds=HANDLERS_SECONDS)
            outcome = event.outcome or EventOutcome.HANDLED
            rows.update(handled_at=timezone.now(), outcome=outcome, error_code="", failed_handler="")
    except (Exception, SystemExit) as error:
        if not commits:
            raise
        # A callback of `on_commit`: the event is handled, and a repeat would not run the callback again.
        log_unexpected(logger, "Unexpected error after the commit of webhook handlers", error=error)
        sync_failed.send_robust(WebhookEvent, clerk_id=None, source="webhook", reason="unexpected_error")
    return True


def _run(handler: Handler, event: ClerkEvent) -> None:
    """Run one handler in a savepoint, so that a statement that failed in it is a failure of this handler.

    Raises HandlerFailed, or django.db.Error if the connection was lost.
    """
    try:
        _run_in_savepoint(handler, event)
    except (Exception, SystemExit) as error:  # SystemExit would end the worker, with all its other requests
        is_lost = isinstance(error, Error) and getattr(write_connection().connection, "closed", False)
        if is_lost and not isinstance(error, DeadlinePassed):
            raise  # a failure of the database
        # To end a transaction whose connection was cut, Django opens another one.
        restart_deadline(seconds=RECORD_SECONDS)
        raise HandlerFailed(get_name(handler), error=error) from error


def _run_in_savepoint(handler: Handler, event: ClerkEvent) -> None:
    try:
        with transaction.atomic(using=write_alias()):
            _refuse_coroutine(handler(event))
            start_deadline()
    except Error:
        start_deadline()  # a connection that the deadline has cut says nothing about the database
        raise


def _refuse_coroutine(returned: object) -> None:
    """Raise TypeError for the coroutine of a decorated async function: nothing would run it."""
    if iscoroutine(returned):
        returned.close()
        raise TypeError  # only its class is recorded
