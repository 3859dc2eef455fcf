"""The ledger: which events came, and what became of each. Never what stood in them."""

from __future__ import annotations

from typing import NamedTuple

from django.db import connections, models

from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet

# An answer, never a row's outcome: the row keeps what its first successful delivery did.
DUPLICATE = "duplicate"
# Ordinary contention ends sooner; Svix hangs up after 15 s, and a failure waits twice.
LOCK_TIMEOUT_MS = 5000

# Note [One effect per event]
# The row and the effect commit together. A second delivery of the same id that comes meanwhile waits here, on
# the unique index: then it finds the row of a success or, when the first was rolled back, inserts its own.
# Written out, because the ORM has no statement that inserts or counts and says which of the two it did.
CLAIM = """
    INSERT INTO webhooks_webhookevent
        (svix_id, type, clerk_id, outcome, error_code, occurred_at, received_at, attempts)
    VALUES (%s, %s, %s, %s, %s, %s, %s, 1)
    ON CONFLICT (svix_id) DO UPDATE SET attempts = webhooks_webhookevent.attempts + 1
    RETURNING id, attempts, outcome
"""


class EventOutcome(models.TextChoices):
    """What became of an event: the outcomes of the merge, and those that only an event can have."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    DELETED = "deleted"
    IGNORED = "ignored"
    REJECTED = "rejected"
    FAILED = "failed"


class Claim(NamedTuple):
    """The row of one event, locked until the transaction ends."""

    pk: int
    attempts: int
    outcome: str

    @property
    def is_done(self) -> bool:
        """Tell whether an earlier delivery had its effect, so that this one must have none."""
        return self.attempts > 1 and self.outcome != EventOutcome.FAILED


class WebhookEventQuerySet(WriteDatabaseQuerySet["WebhookEvent"]):
    """Questions to the ledger."""

    def claim(self, event: WebhookEvent) -> Claim:
        """Insert the event, or count one more attempt on the row that it has already. Needs a transaction."""
        connection = connections[self.db]
        moments = [event.occurred_at, event.received_at]
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL lock_timeout = %s", [LOCK_TIMEOUT_MS])
            cursor.execute(
                CLAIM,
                [
                    *(event.svix_id, event.type, event.clerk_id, event.outcome, event.error_code),
                    *map(connection.ops.adapt_datetimefield_value, moments),
                ],
            )
            return Claim(*cursor.fetchone())


class WebhookEvent(WriteDatabaseModel):
    """One event, however often it was delivered; the outcome is that of the delivery that counted."""

    svix_id = models.CharField(max_length=255)
    type = models.CharField(max_length=100)
    clerk_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - absent is not empty
    occurred_at = models.DateTimeField(help_text="When it happened, by the event's own time.")
    received_at = models.DateTimeField(help_text="When it was first delivered.")
    outcome = models.CharField(max_length=10, choices=EventOutcome)
    attempts = models.PositiveIntegerField(default=1)
    error_code = models.CharField(max_length=64, blank=True, default="")

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
        )

    def __str__(self) -> str:
        return f"{self.type} {self.svix_id}"
