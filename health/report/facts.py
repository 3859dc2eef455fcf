"""The facts of the sync report, read from the tables and from this process, without interpretation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

from django.db.models import Count, Max, Min, Q, Sum

from accounts.conf import get_keys_status, settings
from accounts.models import SyncRun, get_identity_model
from health.models import CountedFailure, SyncFailure
from health.report.detector import DAY, MissedWebhooks, count_missed_webhooks
from webhooks.models import HANDLER_FAILED, EventOutcome, WebhookEvent

# Enough deliveries for the percentiles of the lag; more would make the report slow.
MAX_DELIVERIES = 5_000
# What webhooks.views refuses although the signature is good. There is no row in the ledger.
REFUSED_AS = ("malformed_event", "wrong_instance")

# The reason of a failure is this code, a colon and the name of a field.
UNUSABLE_FIELD = "unusable_field"
# Many users are more than one in `ONE_IN`, and at least `MIN_USERS`: of few users, one is more than 1 %.
ONE_IN, MIN_USERS = 100, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFacts:
    """The open failures, counted in rows: a failure that occurs 1,000 times is one row."""

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
    clock_skew_seconds: float | None = None
    """By how much this machine's clock is ahead (behind: negative); None while unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Percentiles of the seconds between an event and its first delivery."""

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
    """Deliveries that failed and have not been repeated successfully, apart from those of handlers."""
    failed_handlers: Mapping[str, int] = field(default_factory=dict)
    """Events that a handler of this project failed on and has not handled since, by its name."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Deliveries with a good signature that were refused, by code, in outages that have ended."""
    missed: MissedWebhooks = field(default_factory=MissedWebhooks)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFacts:
    """The live rows of users who come from Clerk."""

    live: int
    without_profile: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """The newest finished run of a command."""

    finished_at: datetime
    status: str
    counts: Mapping[str, Any]


def read_failures(unwritten: Iterable[CountedFailure]) -> FailureFacts:
    """Count the open rows, and with them the failures that this process could not write yet."""
    groups = SyncFailure.objects.open().values_list("source", "reason")
    return count_failures(unwritten, stored=groups.annotate(Count("pk"), Min("first_at")))


def count_failures(
    unwritten: Iterable[CountedFailure], *, stored: Iterable[tuple[Any, ...]] = ()
) -> FailureFacts:
    """Count the failures in the memory of this process, and the groups of `stored` rows."""
    groups = [*stored, *((each.key.source, each.key.reason, 1, each.first_at) for each in unwritten)]
    by_source: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    for source, reason, rows, _ in groups:
        by_source[source] += rows
        by_reason[reason] += rows
    return FailureFacts(
        open=by_source.total(),
        by_source=dict(by_source),
        by_reason=dict(by_reason),
        oldest_at=min((first_at for *_, first_at in groups), default=None),
    )


def concerns_many_users() -> bool:
    """Return whether at least five users, and more than 1 % of the live ones, have a value of this kind.

    Note [One user's data]
    Every user can choose a name that no column takes. One such user must not degrade the report: only that
    user can correct it, so a stranger could keep the report degraded. A claim that is mapped to the wrong
    field concerns many users at once.

    This counts the users with an open failure, and reads at most 100 rows of users for each of them.
    """
    failures = SyncFailure.objects.open().filter(reason__startswith=f"{UNUSABLE_FIELD}:")
    affected: int = failures.aggregate(users=Count("clerk_id", distinct=True))["users"]
    if affected < MIN_USERS:
        return False
    live = get_identity_model().objects.live().exclude(clerk_id=None).order_by()
    return not live[affected * ONE_IN - 1 : affected * ONE_IN].exists()


def read_keys() -> KeyFacts:
    """Return the age of this process's keys. PEM keys have none and are never stale.

    A process that has not fetched keys yet is not stale; one whose fetches all failed is.
    """
    status = get_keys_status()
    age = status.age_seconds
    if age is None:
        stale = not status.held and status.last_error is not None
    else:
        stale = age > settings.HEALTH_KEYS_STALE_SECONDS
    return KeyFacts(
        mode=status.mode,
        age_seconds=_round(age),
        stale=stale,
        clock_skew_seconds=_round(status.clock_skew_seconds),
    )


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def read_webhooks(*, now: datetime) -> WebhookFacts:
    """Return the deliveries of the last day, and how many users have no event."""
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        return WebhookFacts(state="not_configured")
    today = WebhookEvent.objects.filter(received_at__gt=now - DAY)
    lag = _read_lag(today)
    missed = count_missed_webhooks(now=now)
    return WebhookFacts(
        state=_state(lag=lag, missed=missed),
        last_received_at=WebhookEvent.objects.aggregate(last=Max("received_at"))["last"],
        lag_seconds=lag,
        rejected=today.filter(outcome=EventOutcome.REJECTED).count(),
        failed=today.filter(outcome=EventOutcome.FAILED, failed_handler="").count(),
        failed_handlers=_count_failed_handlers(today),
        refused=_read_refused(since=now - DAY),
        missed=missed or MissedWebhooks(),
    )


def read_users() -> UserFacts:
    """Count the users from Clerk, and those with neither an e-mail address nor a name."""
    empty = Q(email=None, first_name="", last_name="")
    users = get_identity_model().objects.live().exclude(clerk_id=None)
    return UserFacts(**users.aggregate(live=Count("pk"), without_profile=Count("pk", filter=empty)))


def read_run(kind: str) -> RunFacts | None:
    """Return the newest finished run of this kind, or None."""
    run = SyncRun.objects.filter(kind=kind).exclude(finished_at=None).order_by("-finished_at").first()
    if run is None or run.finished_at is None:
        return None
    return RunFacts(finished_at=run.finished_at, status=run.status, counts=run.counts)


def _read_refused(*, since: datetime) -> dict[str, int]:
    rows = SyncFailure.objects.filter(
        clerk_id=None, source="webhook", reason__in=REFUSED_AS, closed_at__gt=since
    )
    return dict(rows.values_list("reason").annotate(Sum("count")))


def _count_failed_handlers(events: Any) -> dict[str, int]:
    failed = events.filter(HANDLER_FAILED).order_by().values_list("failed_handler")
    return dict(failed.annotate(Count("pk")))


def _state(*, lag: Lag, missed: MissedWebhooks | None) -> str:
    if missed is not None and missed.count:
        return "missed"
    if lag.p95 is not None and lag.p95 > settings.HEALTH_WEBHOOK_LAG_SECONDS:
        return "late"
    return "unknown" if missed is None else "ok"


def _read_lag(events: Any) -> Lag:
    moments = events.order_by("-received_at").values_list("occurred_at", "received_at")
    # If this machine's clock is behind Clerk's, the difference may be negative.
    seconds = sorted(
        max((received - occurred).total_seconds(), 0.0) for occurred, received in moments[:MAX_DELIVERIES]
    )
    return Lag(p50=_percentile(seconds, 0.50), p95=_percentile(seconds, 0.95)) if seconds else Lag()


def _percentile(ordered: list[float], share: float) -> float:
    """Return the smallest value that at least `share` of all values do not exceed."""
    return round(ordered[ceil(share * len(ordered)) - 1], 3)
