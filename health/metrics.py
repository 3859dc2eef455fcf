"""The series for Prometheus, right with one process and with several (PROMETHEUS_MULTIPROC_DIR).

Labels are codes of our own, so that no stranger can make the number of series grow.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from accounts.conf import get_keys_status

SAMPLE_SECONDS = 10.0

# The settings have made it: the library opens its files there as soon as a series is made.
DIRECTORY = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

AUTHENTICATIONS = Counter(
    "clerk_authentications",
    "Bearer tokens judged, by the outcome: ok or the code of the refusal.",
    ["outcome"],
)
SYNCS = Counter(
    "clerk_syncs", "People brought in line with Clerk, by source and outcome.", ["source", "outcome"]
)
FAILURES = Counter("clerk_sync_failures", "Failures to sync, by source and reason.", ["source", "reason"])
WEBHOOKS = Counter("clerk_webhook_events", "Webhook deliveries, by type and outcome.", ["type", "outcome"])
WEBHOOK_LAG = Histogram(
    "clerk_webhook_lag_seconds",
    "From the time of an event to its first delivery here.",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36000),
)
KEY_FETCHES = Counter("clerk_key_fetches", "Fetches of Clerk's key set, by result.", ["result"])
KEY_SET_AGE = Gauge(
    "clerk_key_set_age_seconds", "Age of the oldest key set that a worker uses.", multiprocess_mode="livemax"
)

# A delivery of one of 45 types, or of one that Clerk has yet to invent.
EVENT_TYPES = frozenset({"user.created", "user.updated", "user.deleted"})


def event_type(text: str) -> str:
    """Give the label for a type of event: ours by name, all others together."""
    return text if text in EVENT_TYPES else "other"


class KeySampler:
    """Brings what a process knows of its keys into the series, at most once in ten seconds.

    A process can only write its own series, and the one that answers Prometheus is any of them: so each one
    samples when it has something to do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due = 0.0
        self._counted: dict[str, int] = {}

    def sample(self) -> None:
        """Read the state of the keys if it is time to."""
        if time.monotonic() < self._due:
            return
        with self._lock:
            self._due = time.monotonic() + SAMPLE_SECONDS
            self._read()

    def _read(self) -> None:
        status = get_keys_status()
        if status.age_seconds is not None:
            KEY_SET_AGE.set(status.age_seconds)
        for result, count in status.fetches.items():
            # Fewer than before: the settings changed, and a new store counts from nothing.
            KEY_FETCHES.labels(result).inc(max(count - self._counted.get(result, 0), 0))
            self._counted[result] = count


key_sampler = KeySampler()


def exposition() -> bytes:
    """Give the text that Prometheus reads: of all workers if they share a directory, else of this process."""
    key_sampler.sample()
    if not DIRECTORY:
        return generate_latest(REGISTRY)
    _forget_dead_workers()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=DIRECTORY)  # type: ignore[no-untyped-call] # ships without
    return generate_latest(registry)


def _forget_dead_workers() -> None:
    """Drop the gauges of processes that are gone, so that plain gunicorn needs no hook for it."""
    for path in Path(DIRECTORY).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, path=DIRECTORY)  # type: ignore[no-untyped-call] # ships without


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
