"""What the report knows, read from the tables and from this process; no judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, Q

from accounts.conf import get_keys_status
from accounts.models import SyncRun, User
from health.models import Failures, SyncFailure
from health.report.detector import DAY, NOBODY, Missed, find_missed
from webhooks.models import EventOutcome, WebhookEvent

# More deliveries than these say nothing new about the lag, and a flood must not make the report slow.
LAG_SAMPLE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFacts:
    """What is open, counted in rows: a person who fails a thousand times is one."""

    open: int
    by_source: Mapping[str, int]
    by_reason: Mapping[str, int]
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """The keys of the process that answers."""

    mode: str
    age_seconds: float | None
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Seconds between an event's time and its first delivery."""

    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFacts:
    """The deliveries of the last day."""

    state: str
    last_received_at: datetime | None = None
    lag_seconds: Lag = Lag()
    rejected: int | None = 0
    failed: int | None = 0
    """Deliveries that failed and have not come again with success."""
    missed: Missed = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFacts:
    """The live rows of people who come from Clerk."""

    live: int
    without_profile: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The newest finished run of a command."""

    finished_at: datetime
    status: str
    counts: Mapping[str, Any]


def read_failures(unwritten: list[Failures]) -> FailureFacts:
    """Count the open rows, and with them what this process could not write yet."""
    groups = (
        SyncFailure.objects.open()
        .values("source", "reason")
        .annotate(rows=Count("pk"), oldest=Min("first_at"))
    )
    return _add_up(
        [
            *((group["source"], group["reason"], group["rows"], group["oldest"]) for group in groups),
            *_rows_to_come(unwritten),
        ]
    )


def count_unwritten_failures(unwritten: list[Failures]) -> FailureFacts:
    """Count what this process has in memory: all that is known without the database."""
    return _add_up(list(_rows_to_come(unwritten)))


def read_keys() -> KeyFacts:
    """Say how old this process's keys are. PEM keys have no age; before the first fetch none is stale."""
    status = get_keys_status()
    age = status.age_seconds
    if age is None:
        stale = not status.held and status.last_error is not None
    else:
        stale = age > settings.HEALTH_KEYS_STALE_SECONDS
    return KeyFacts(mode=status.mode, age_seconds=None if age is None else round(age, 1), stale=stale)


def read_webhooks(*, now: datetime) -> WebhookFacts:
    """Look at the deliveries of the last day and at who should have had one."""
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        return WebhookFacts(state="not_configured")
    today = WebhookEvent.objects.filter(received_at__gt=now - DAY)
    lag = _lag(today)
    missed = find_missed(now=now)
    return WebhookFacts(
        state=_state(lag=lag, missed=missed),
        last_received_at=WebhookEvent.objects.aggregate(last=Max("received_at"))["last"],
        lag_seconds=lag,
        rejected=today.filter(outcome=EventOutcome.REJECTED).count(),
        failed=today.filter(outcome=EventOutcome.FAILED).count(),
        missed=missed or NOBODY,
    )


def read_people() -> PeopleFacts:
    """Count the people, and those of whom nothing but the Clerk id is known."""
    empty = Q(email=None, first_name="", last_name="")
    people = User.objects.live().exclude(clerk_id=None)
    return PeopleFacts(**people.aggregate(live=Count("pk"), without_profile=Count("pk", filter=empty)))


def read_run(kind: str) -> RunFacts | None:
    """Give the newest run of this kind that came to an end, if there was one."""
    run = SyncRun.objects.filter(kind=kind).exclude(finished_at=None).order_by("-finished_at").first()
    if run is None or run.finished_at is None:
        return None
    return RunFacts(finished_at=run.finished_at, status=run.status, counts=run.counts)


def _rows_to_come(unwritten: list[Failures]) -> list[tuple[str, str, int, datetime]]:
    return [(each.key.source, each.key.reason, 1, each.first_at) for each in unwritten]


def _add_up(groups: list[tuple[str, str, int, datetime]]) -> FailureFacts:
    by_source: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for source, reason, rows, _ in groups:
        by_source[source] += rows
        by_reason[reason] += rows
    return FailureFacts(
        open=by_source.total(),
        by_source=dict(by_source),
        by_reason=dict(by_reason),
        oldest_at=min((oldest for *_, oldest in groups), default=None),
    )


def _state(*, lag: Lag, missed: Missed | None) -> str:
    if missed is not None and missed.count:
        return "missed"
    if lag.p95 is not None and lag.p95 > settings.HEALTH_WEBHOOK_LAG_SECONDS:
        return "late"
    return "unknown" if missed is None else "ok"


def _lag(events: Any) -> Lag:
    moments = events.order_by("-received_at").values_list("occurred_at", "received_at")
    # A clock of ours that is behind Clerk's makes no delivery early.
    seconds = sorted(max((got - was).total_seconds(), 0.0) for was, got in moments[:LAG_SAMPLE])
    if not seconds:
        return Lag()
    return Lag(p50=_percentile(seconds, 0.50), p95=_percentile(seconds, 0.95))


def _percentile(ordered: list[float], share: float) -> float:
    """Give the smallest value that is not exceeded by `share` of all."""
    return round(ordered[ceil(share * len(ordered)) - 1], 3)
