"""The ledger: one row for each webhook event, with its outcome but without its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connections, models

from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet, locking_query

# Only an answer: the row of the event keeps the outcome of its first successful delivery.
DUPLICATE = "duplicate"

# Note [One effect per event]
# The row and the effect are committed together. A parallel delivery of the same id waits for that commit: at
# the lock on the user, or without a user at the unique index. Then it finds the row or, after a rollback,
# inserts its own.
# This is SQL because the ORM cannot insert a row or increment a counter and return which of the two it did.
# The statement also locks the user first, which saves a round trip.
CLAIM = """
    INSERT INTO {table}
        (svix_id, type, clerk_id, outcome, error_code, occurred_at, received_at, attempts)
    SELECT %s, %s, %s, %s, %s, %s, %s, 1 {locks}
    ON CONFLICT (svix_id) DO UPDATE SET attempts = {table}.attempts + 1
    RETURNING id, attempts, outcome, handled_at
"""


# The condition of events that a handler failed on and has not handled since; an index finds them.
HANDLER_FAILED = models.Q(failed_handler__gt="")


class EventOutcome(models.TextChoices):
    """The outcome of an event: those of a sync, and those that only an event can have."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    DELETED = "deleted"
    IGNORED = "ignored"
    HANDLED = "handled"
    REJECTED = "rejected"
    FAILED = "failed"


class Claim(NamedTuple):
    """The state of an event's row, which is locked until the transaction ends."""

    pk: int
    attempts: int
    outcome: str
    is_handled: bool
    """Whether the project's own handlers of the event have run."""

    @property
    def is_done(self) -> bool:
        """Return whether an earlier delivery had its effect, so that this one must have none."""
        return self.attempts > 1 and self.outcome != EventOutcome.FAILED


class WebhookEventQuerySet(WriteDatabaseQuerySet["WebhookEvent"]):
    """A queryset that can insert or lock the row of an event."""

    def claim(self, event: WebhookEvent, *, locked: Sequence[str] = ()) -> Claim:
        """Lock these Clerk ids; insert the event, or increment `attempts` of its row; return the row's state.

        Requires a transaction; the row is locked until its end too. Raises django.db.Error if a lock does not
        come within `accounts.db.LOCK_TIMEOUT_MS`.
        """
        connection = connections[self.db]
        times = [event.occurred_at, event.received_at]
        # SQLite, whose BEGIN IMMEDIATE locks everything, needs WHERE before ON CONFLICT.
        has_locks = connection.vendor == "postgresql"
        locks = f"FROM ({locking_query(*locked)}) AS locks" if has_locks else "WHERE 1"
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(self.model._meta.db_table)
            cursor.execute(
                CLAIM.format(table=table, locks=locks),
                [
                    *(event.svix_id, event.type, event.clerk_id, event.outcome, event.error_code),
                    *map(connection.ops.adapt_datetimefield_value, times),
                ],
            )
            # SQLite 3.40 returns 1 for `handled_at IS NOT NULL` here, also where the column is null.
            pk, attempts, outcome, handled_at = cursor.fetchone()
            return Claim(pk, attempts, outcome, handled_at is not None)


class WebhookEvent(WriteDatabaseModel):
    """A webhook event. The outcome is that of its first successful delivery, if there was one."""

    svix_id = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    clerk_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - absent is not empty
    occurred_at = models.DateTimeField(help_text="When it happened, by the event's own time.")
    received_at = models.DateTimeField(help_text="When it was first delivered.")
    outcome = models.CharField(max_length=10, choices=EventOutcome)
    attempts = models.PositiveIntegerField(default=1)
    error_code = models.CharField(max_length=64, blank=True, default="")
    handled_at = models.DateTimeField(
        null=True, blank=True, help_text="When the handlers of this project succeeded; empty without any."
    )
    failed_handler = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="The handler that raised the class of exception in `error_code`, at the last attempt.",
    )

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["svix_id"], name="one_row_per_webhook_event"),)
        indexes = (
            models.Index(fields=["clerk_id"], name="webhook_event_clerk_id"),
            models.Index(fields=["received_at"], name="webhook_event_received_at"),
            models.Index(
                fields=["outcome"],
                condition=models.Q(outcome__in=["failed", "rejected"]),
                name="webhook_event_trouble",
            ),
            models.Index(
                fields=["received_at"], condition=HANDLER_FAILED, name="webhook_event_failed_handler"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.svix_id}"
