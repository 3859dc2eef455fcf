"""The last day by hours, as the bars of a small picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncHour

from accounts.models import CreatedVia, User
from webhooks.models import EventOutcome, WebhookEvent

HOURS = 24
HEIGHT = 90
SLOT = 26
BAR = 10
HOUR = timedelta(hours=1)

# From the bottom of a bar to its top.
SERIES = {
    EventOutcome.CREATED: "applied",
    EventOutcome.UPDATED: "applied",
    EventOutcome.DELETED: "applied",
    EventOutcome.UNCHANGED: "nothing to do",
    EventOutcome.STALE: "nothing to do",
    EventOutcome.IGNORED: "nothing to do",
    EventOutcome.REJECTED: "trouble",
    EventOutcome.FAILED: "trouble",
}
WEBHOOK_SERIES = ("applied", "nothing to do", "trouble")
NEW_PEOPLE = "new people"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle with its legend; lengths in the picture's own units."""

    series: str
    x: int
    y: float
    height: float
    title: str

    @property
    def style(self) -> str:
        """The name of the series as a CSS class."""
        return self.series.replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Webhook events and, beside them, new people: a pair of bars an hour."""

    bars: list[Bar]
    hours: list[tuple[int, str]]
    most: int
    width: int = HOURS * SLOT
    height: int = HEIGHT
    bar: int = BAR
    series: tuple[str, ...] = (*WEBHOOK_SERIES, NEW_PEOPLE)


def draw_day(*, now: datetime) -> Chart:
    """Count the last 24 hours, the running one included, and draw them."""
    first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    hours = [first + number * HOUR for number in range(HOURS)]
    counts = _count(first)
    most = max((_tallest(counts, hour=hour) for hour in hours), default=0)
    return Chart(
        bars=list(_bars(counts, hours=hours, most=max(most, 1))),
        hours=[(number * SLOT, f"{hour:%H}") for number, hour in enumerate(hours)],
        most=most,
    )


def _count(first: datetime) -> Counter[tuple[datetime, str]]:
    events = WebhookEvent.objects.filter(received_at__gte=first).annotate(hour=TruncHour("received_at"))
    people = User.objects.filter(created_at__gte=first).annotate(hour=TruncHour("created_at"))
    counts: Counter[tuple[datetime, str]] = Counter()
    for group in events.values("hour", "outcome").annotate(rows=Count("pk")):
        counts[group["hour"], SERIES[EventOutcome(group["outcome"])]] += group["rows"]
    # A backfill brings in people who are not new.
    people = people.filter(created_via__in=[CreatedVia.REQUEST, CreatedVia.WEBHOOK])
    for hour, rows in people.values_list("hour").annotate(rows=Count("pk")):
        counts[hour, NEW_PEOPLE] += rows
    return counts


def _tallest(counts: Counter[tuple[datetime, str]], *, hour: datetime) -> int:
    return max(sum(counts[hour, series] for series in WEBHOOK_SERIES), counts[hour, NEW_PEOPLE])


def _bars(counts: Counter[tuple[datetime, str]], *, hours: Iterable[datetime], most: int) -> Iterator[Bar]:
    for number, hour in enumerate(hours):
        for column, stack in enumerate((WEBHOOK_SERIES, (NEW_PEOPLE,))):
            bottom = float(HEIGHT)
            for series in stack:
                count = counts[hour, series]
                height = HEIGHT * count / most
                bottom -= height
                if count:
                    yield Bar(
                        series=series,
                        x=number * SLOT + column * (BAR + 1),
                        y=round(bottom, 2),
                        height=round(height, 2),
                        title=f"{hour:%H}:00 UTC, {series}: {count}",
                    )
