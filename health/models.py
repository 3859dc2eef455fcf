"""What went wrong between Clerk and us: one open row per person, source and reason, however often."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import OperationalError, connections, models, transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery

from accounts.db import WriteDatabaseModel, WriteDatabaseQuerySet, failure_reason
from webhooks.models import EventOutcome, WebhookEvent

# Trouble of a machine, not of a person: thousands meet it together, and it ends for all of them at once.
OUTAGES = frozenset({"database_error", "lock_timeout", "keys_unavailable"})
# A warm request that succeeds closes nothing, so an unexpected error of requests is an outage as well.
REQUEST_OUTAGES = frozenset({"unexpected_error"})
QUIET = timedelta(minutes=15)
# Whoever records or closes holds up a request: behind another one's lock it gives up at once (PostgreSQL).
LOCK_TIMEOUT_MS = 500

# Note [Mended by a webhook]
# A delivery must not pay a statement for closing what hardly ever is open. It leaves its row in the ledger
# anyway, so whoever is about to look at the failures, or to add to them, closes first those whose person's
# webhook came later. A failed delivery that succeeded at last keeps the time of its first arrival: there the
# row closes when no delivery of the person is left as failed.
MENDING = (
    EventOutcome.CREATED,
    EventOutcome.UPDATED,
    EventOutcome.UNCHANGED,
    EventOutcome.STALE,
    EventOutcome.DELETED,
)

# Note [One open row]
# Two partial unique indexes, because NULLs are distinct in both databases: a person's row is found by the
# first, an outage's row (no clerk_id) by the second. The ORM cannot name a partial index as the target of ON
# CONFLICT, and anything of more than one statement loses counts or raises when processes record the same
# failure together. SQLite wants the index's condition word for word.
RECORD = """
    INSERT INTO health_syncfailure (clerk_id, source, reason, count, first_at, last_at)
    VALUES {rows}
    ON CONFLICT ({target}) WHERE {condition} DO UPDATE SET
        count = health_syncfailure.count + excluded.count,
        last_at = CASE WHEN excluded.last_at > health_syncfailure.last_at
                       THEN excluded.last_at ELSE health_syncfailure.last_at END
"""
PERSON = {"target": "clerk_id, source, reason", "condition": "closed_at IS NULL"}
OUTAGE = {"target": "source, reason", "condition": "clerk_id IS NULL AND closed_at IS NULL"}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FailureKey:
    """What makes two failures the same one. `clerk_id` is empty for an outage."""

    clerk_id: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The same failure, `count` times between two moments."""

    key: FailureKey
    count: int
    first_at: datetime
    last_at: datetime


def is_outage(*, source: str, reason: str) -> bool:
    """Return whether such a failure is recorded once for all users, and closes when it has not come again."""
    return reason in OUTAGES or (source == "request" and reason in REQUEST_OUTAGES)


class SyncFailureQuerySet(WriteDatabaseQuerySet["SyncFailure"]):
    """Questions and the few writes; nothing else writes these rows."""

    def open(self) -> SyncFailureQuerySet:
        """Those that nothing has mended yet."""
        return self.filter(closed_at=None)

    def record(self, failures: Iterable[Failures], *, now: datetime) -> None:
        """Add the failures to their open rows, or open rows for them, in one transaction."""
        # Sorted: two processes that write the same rows in another order would deadlock.
        ordered = sorted(failures, key=lambda each: each.key)
        with transaction.atomic(using=self.db):
            self._be_impatient()
            self.close_expired_outages(now=now)
            if people := {each.key.clerk_id for each in ordered} - {""}:
                self.close_resolved_by_webhook(now=now, clerk_ids=people)
            fresh = self._without_the_mended(ordered)
            self._insert([each for each in fresh if each.key.clerk_id], **PERSON)
            self._insert([each for each in fresh if not each.key.clerk_id], **OUTAGE)

    def close_for(self, clerk_ids: Sequence[str], *, at: datetime) -> int:
        """Close what is open for people who have just been synced; return how many rows that were."""
        if not self.open().exclude(clerk_id=None).exists():
            return 0  # nearly always: one statement, and no list of a page's people
        with transaction.atomic(using=self.db):
            self._be_impatient()
            return self.open().filter(clerk_id__in=clerk_ids).update(closed_at=at)

    def close_resolved(self, *, now: datetime) -> bool:
        """Close what is over, for whoever is about to look; tell whether that could be done.

        Behind another session's lock it gives up at once: what is over is then shown as open, a false alarm.
        """
        if not self.open().exists():
            return True  # nearly always: one statement
        try:
            with transaction.atomic(using=self.db):
                self._be_impatient()
                self.close_expired_outages(now=now)
                self.close_resolved_by_webhook(now=now)
        except OperationalError as error:
            if failure_reason(error) != "lock_timeout":
                raise
            return False
        return True

    def close_expired_outages(self, *, now: datetime) -> int:
        """Close the outages that nobody has met for a quarter of an hour; return how many."""
        return self.open().filter(clerk_id=None, last_at__lt=now - QUIET).update(closed_at=now)

    def close_resolved_by_webhook(self, *, now: datetime, clerk_ids: Collection[str] | None = None) -> int:
        """Close what a webhook has mended since, of these people or of all: Note [Mended by a webhook]."""
        people = self.open().exclude(clerk_id=None)
        if clerk_ids is not None:
            people = people.filter(clerk_id__in=clerk_ids)
        events = WebhookEvent.objects.filter(clerk_id=OuterRef("clerk_id"))
        later = events.filter(outcome__in=MENDING, received_at__gt=OuterRef("last_at"))
        newest = Subquery(later.order_by("-received_at").values("received_at")[:1])
        told = people.annotate(told_at=newest).exclude(told_at=None)
        failed = people.filter(source="webhook", reason="unexpected_error")
        repeated = failed.exclude(Exists(events.filter(outcome=EventOutcome.FAILED)))
        return told.update(closed_at=F("told_at")) + repeated.update(closed_at=now)

    def _be_impatient(self) -> None:
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = %s", [LOCK_TIMEOUT_MS])

    def _without_the_mended(self, failures: Sequence[Failures]) -> list[Failures]:
        """Leave out repeats that a process kept in memory while another one mended the person."""
        people = {each.key.clerk_id for each in failures} - {""}
        if not people:
            return list(failures)
        oldest = min(each.last_at for each in failures)
        closed = self.filter(clerk_id__in=people, closed_at__gte=oldest)
        mended = {(row.clerk_id, row.source, row.reason): row for row in closed.order_by("closed_at")}
        fresh = []
        for each in failures:
            row = mended.get((each.key.clerk_id, each.key.source, each.key.reason))
            if row is None or row.closed_at is None or row.closed_at < each.last_at:
                fresh.append(each)
            else:
                self.filter(pk=row.pk).update(count=F("count") + each.count)
        return fresh

    def _insert(self, failures: Sequence[Failures], *, target: str, condition: str) -> None:
        if not failures:
            return
        connection = connections[self.db]
        rows = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(failures))
        adapt = connection.ops.adapt_datetimefield_value
        values = [
            value
            for each in failures
            for value in (
                *(each.key.clerk_id or None, each.key.source, each.key.reason, each.count),
                *(adapt(each.first_at), adapt(each.last_at)),
            )
        ]
        with connection.cursor() as cursor:
            cursor.execute(RECORD.format(rows=rows, target=target, condition=condition), values)


class SyncFailure(WriteDatabaseModel):
    """A failure to bring one person, or all, in line with Clerk. Codes only: no name, no body, no text."""

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
