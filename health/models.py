"""Failures to sync: one open row for each user, source and reason, with a count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connections, models, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery

from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet, failure_reason
from accounts.models import get_identity_model
from accounts.sync import Outcome
from webhooks.models import EventOutcome, WebhookEvent

# Faults of the system, not of a user: they affect many users, and end for all of them at once.
OUTAGE_REASONS = frozenset({"database_error", "lock_timeout", "keys_unavailable"})
# Most successful requests write nothing, so they close nothing: an unexpected error is an outage as well.
REQUEST_OUTAGE_REASONS = frozenset({"unexpected_error"})
OUTAGE_CLOSES_AFTER = timedelta(minutes=15)
# A request waits while failures are recorded or closed, so these statements wait for no lock (PostgreSQL).
LOCK_TIMEOUT_MS = 500

# Note [Resolved without a statement]
# There is rarely an open failure, so neither a delivery nor a first request executes a statement to close
# one. Both store a row: an event, or the user. The report, the lists of the admin, `prune_history` and code
# that adds failures first close those that a later row of the same user has resolved. A failed delivery that
# succeeds on repetition keeps the time of its first arrival. Its failure closes when the user has no failed
# delivery left.

# Note [One open row]
# There are two partial unique indexes, because both databases treat NULLs as distinct: one for the row of a
# user, one for the row of an outage, which has no clerk_id. The ORM cannot name a partial index as the target
# of ON CONFLICT. With more than one statement, processes that record the same failure at the same time would
# lose counts or raise. SQLite requires the condition exactly as the index has it.
RECORD = """
    INSERT INTO {table} (clerk_id, source, reason, count, first_at, last_at)
    VALUES {rows}
    ON CONFLICT ({target}) WHERE {condition} DO UPDATE SET
        count = {table}.count + excluded.count,
        last_at = CASE WHEN excluded.last_at > {table}.last_at
                       THEN excluded.last_at ELSE {table}.last_at END
"""
USER_INDEX = {"target": "clerk_id, source, reason", "condition": "closed_at IS NULL"}
OUTAGE_INDEX = {"target": "source, reason", "condition": "clerk_id IS NULL AND closed_at IS NULL"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FailureKey:
    """What identifies a failure. `clerk_id` is empty for an outage."""

    clerk_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedFailure:
    """A failure that occurred `count` times between two moments."""

    key: FailureKey
    count: int
    first_at: datetime
    last_at: datetime


def is_outage(*, source: str, reason: str) -> bool:
    """Return whether such a failure has one row for all users and closes after 15 minutes without one."""
    return reason in OUTAGE_REASONS or (source == "request" and reason in REQUEST_OUTAGE_REASONS)


class SyncFailureQuerySet(WriteDatabaseQuerySet["SyncFailure"]):
    """Queries, and all code that writes these rows."""

    def open(self) -> SyncFailureQuerySet:
        """Return the failures that are not closed."""
        return self.filter(closed_at=None)

    def record(self, failures: Iterable[CountedFailure], *, now: datetime) -> None:
        """Add the failures to their open rows, or create the rows, in one transaction.

        Raises django.db.Error; on PostgreSQL also if another session holds a lock for `LOCK_TIMEOUT_MS`.
        """
        # Sorted, because two processes that write the same rows in different orders would deadlock.
        fresh = sorted(failures, key=lambda each: each.key)
        with transaction.atomic(using=self.db):
            self._set_lock_timeout()
            self.close_expired_outages(now=now)
            if clerk_ids := {each.key.clerk_id for each in fresh} - {""}:
                self.close_resolved_by_rows(now=now, clerk_ids=clerk_ids)
                fresh = self._add_to_closed(fresh, clerk_ids=clerk_ids)
            self._upsert([each for each in fresh if each.key.clerk_id], **USER_INDEX)
            self._upsert([each for each in fresh if not each.key.clerk_id], **OUTAGE_INDEX)

    def close_for(self, clerk_ids: Sequence[str], *, at: datetime) -> None:
        """Close the open failures of users that have just been synced. Raises django.db.Error as `record`."""
        if not self.open().exclude(clerk_id=None).exists():
            return  # the usual case: one statement, without the Clerk ids of a whole page
        with transaction.atomic(using=self.db):
            self._set_lock_timeout()
            self.open().filter(clerk_id__in=clerk_ids).update(closed_at=at)

    def close_resolved(self, *, now: datetime) -> bool:
        """Close ended outages and failures that are resolved; return False behind another lock.

        In that case the rows stay open, which is a false alarm. Raises django.db.Error.
        """
        if not self.open().exists():
            return True  # the usual case: one statement
        try:
            with transaction.atomic(using=self.db):
                self._set_lock_timeout()
                self.close_expired_outages(now=now)
                self.close_resolved_by_rows(now=now)
        except OperationalError as error:
            if failure_reason(error) != "lock_timeout":
                raise
            return False
        return True

    def close_expired_outages(self, *, now: datetime) -> None:
        """Close the outages that have not occurred for 15 minutes."""
        self.open().filter(clerk_id=None, last_at__lt=now - OUTAGE_CLOSES_AFTER).update(closed_at=now)

    def close_resolved_by_rows(self, *, now: datetime, clerk_ids: Collection[str] | None = None) -> None:
        """Close what a webhook or a first request has resolved: Note [Resolved without a statement].

        `clerk_ids` are the users to look at, by default all.
        """
        failures = self.open().exclude(clerk_id=None)
        if clerk_ids is not None:
            failures = failures.filter(clerk_id__in=clerk_ids)
        events = WebhookEvent.objects.filter(clerk_id=OuterRef("clerk_id"))
        later = events.filter(outcome__in=list(Outcome), received_at__gt=OuterRef("last_at"))
        rows = get_identity_model().objects.live_or_deleted().filter(clerk_id=OuterRef("clerk_id"))
        created = rows.filter(created_at__gt=OuterRef("last_at"))
        failed_deliveries = failures.filter(source="webhook", reason="unexpected_error")
        repeated = failed_deliveries.exclude(Exists(events.filter(outcome=EventOutcome.FAILED)))
        for resolving, time in ((later, "received_at"), (created, "created_at")):
            newest = Subquery(resolving.order_by(f"-{time}").values(time)[:1])
            failures.annotate(resolved_at=newest).exclude(resolved_at=None).update(closed_at=F("resolved_at"))
        repeated.update(closed_at=now)

    def _set_lock_timeout(self) -> None:
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = %s", [LOCK_TIMEOUT_MS])

    def _add_to_closed(
        self, failures: Sequence[CountedFailure], *, clerk_ids: Collection[str]
    ) -> list[CountedFailure]:
        """Add failures from before a user's last success to the closed row; return the other failures.

        A process may have kept them in memory while another process synced the user.
        """
        oldest = min(each.last_at for each in failures)
        closed = self.filter(clerk_id__in=clerk_ids, closed_at__gte=oldest)
        rows = {(row.clerk_id, row.source, row.reason): row for row in closed.order_by("closed_at")}
        fresh = []
        for each in failures:
            row = rows.get((each.key.clerk_id, each.key.source, each.key.reason))
            if row is None or row.closed_at is None or row.closed_at < each.last_at:
                fresh.append(each)
            else:
                self.filter(pk=row.pk).update(count=F("count") + each.count)
        return fresh

    def _upsert(self, failures: Sequence[CountedFailure], *, target: str, condition: str) -> None:
        if not failures:
            return
        connection = connections[self.db]
        table = connection.ops.quote_name(self.model._meta.db_table)
        rows = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(failures))
        adapt = connection.ops.adapt_datetimefield_value
        values: list[Any] = []
        for each in failures:
            values += [each.key.clerk_id or None, each.key.source, each.key.reason, each.count]
            values += [adapt(each.first_at), adapt(each.last_at)]
        with connection.cursor() as cursor:
            cursor.execute(RECORD.format(table=table, rows=rows, target=target, condition=condition), values)


class SyncFailure(WriteDatabaseModel):
    """A failure to sync one user, or all in an outage. It holds codes: no name, body or error text."""

    clerk_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - absent is not empty
    source = models.CharField(max_length=20)
    reason = models.CharField(max_length=100)
    count = models.PositiveBigIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = SyncFailureQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["clerk_id", "source", "reason"],
                condition=Q(closed_at=None),
                name="one_open_failure_per_person_source_reason",
            ),
            models.UniqueConstraint(
                fields=["source", "reason"],
                condition=Q(closed_at=None, clerk_id=None),
                name="one_open_outage_per_source_reason",
            ),
        )
        indexes = (
            models.Index(fields=["clerk_id", "closed_at"], name="sync_failure_clerk_id"),
            models.Index(fields=["closed_at"], name="sync_failure_closed_at"),
        )

    def __str__(self) -> str:
        return f"{self.reason} ({self.source})"
