"""The series for Prometheus, for one process or for several (PROMETHEUS_MULTIPROC_DIR).

All label values are codes of this project, so that clients cannot increase the number of series.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from accounts.conf import get_keys_status
from webhooks.handlers import EFFECTS
from webhooks.registry import registry

SAMPLE_SECONDS = 10.0

# The settings have created it: the library opens files in it as soon as a series is created.
DIRECTORY = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

AUTHENTICATIONS = Counter(
    "clerk_authentications",
    "Bearer tokens verified or refused, by outcome: ok, the error code, or unknown_key while undecided.",
    ["outcome"],
)
SYNCS = Counter("clerk_syncs", "Users synced with Clerk, by source and outcome.", ["source", "outcome"])
FAILURES = Counter("clerk_sync_failures", "Failures to sync, by source and reason.", ["source", "reason"])
WEBHOOKS = Counter("clerk_webhook_events", "Webhook deliveries, by type and outcome.", ["type", "outcome"])
WEBHOOK_LAG = Histogram(
    "clerk_webhook_lag_seconds",
    "Seconds from an event to its first delivery.",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36000),
)
KEY_FETCHES = Counter("clerk_key_fetches", "Fetches of Clerk's key set, by result.", ["result"])
KEY_SET_AGE = Gauge(
    "clerk_key_set_age_seconds", "Age of the oldest key set that a worker uses.", multiprocess_mode="livemax"
)
CLOCK_SKEW = Gauge(
    "clerk_clock_skew_seconds",
    "Seconds by which this machine's clock is ahead (behind: negative); 0 if right or unknown.",
    multiprocess_mode="livemostrecent",
)


def event_label(event_type: str) -> str:
    """Return the label for a type of event: itself if there is an effect or a handler, else "other"."""
    return event_type if event_type in EFFECTS or registry.get_handlers(event_type) else "other"


class KeySampler:
    """Copies the state of this process's keys into the series, at most every ten seconds.

    A process can only write its own series, and any process may answer Prometheus. So each process samples
    when it serves a request. `clock` is monotonic, in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due_at = 0.0
        self._counted: dict[str, int] = {}

    def sample(self) -> None:
        """Update the series if ten seconds have passed since the last update."""
        if self._clock() < self._due_at:
            return
        with self._lock:
            self._due_at = self._clock() + SAMPLE_SECONDS
            self._update_series()

    def _update_series(self) -> None:
        status = get_keys_status()
        if status.age_seconds is not None:
            KEY_SET_AGE.set(status.age_seconds)
        CLOCK_SKEW.set(status.clock_skew_seconds or 0.0)
        for result, count in status.fetches.items():
            # After a change of the settings, the new key source counts from 0 again.
            KEY_FETCHES.labels(result).inc(max(count - self._counted.get(result, 0), 0))
            self._counted[result] = count


key_sampler = KeySampler()


def render_series() -> bytes:
    """Return the text for Prometheus: of all workers if they share a directory, else of this process."""
    key_sampler.sample()
    if not DIRECTORY:
        return generate_latest(REGISTRY)
    _remove_dead_workers()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=DIRECTORY)  # type: ignore[no-untyped-call] # ships without
    return generate_latest(registry)


def _remove_dead_workers() -> None:
    """Delete the gauges of processes that have ended, so that gunicorn needs no hook for it."""
    for path in Path(DIRECTORY).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, path=DIRECTORY)  # type: ignore[no-untyped-call] # ships without


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True
