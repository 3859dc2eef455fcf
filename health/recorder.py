"""Record failures: count them in memory, and write them to the database at a limited rate.

Code that reports a failure must not suffer more from it. So the recorder never raises and never waits for a
database that is down. It writes the same failure at most once a minute per process, and different failures at
most twice a second in the long run. It holds at most 1,000 different failures in memory.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import inf

from django.db import Error

from accounts.clerk.token_bucket import TokenBucket
from accounts.db import after_commit, retry_on_dead_connection, write_connection
from health.models import OUTAGE_CLOSES_AFTER, CountedFailure, FailureKey, SyncFailure, is_outage

MAX_ENTRIES = 1_000
REPEAT_SECONDS = 60.0
# The pause after a failed write: other requests must not wait for the same dead database.
PAUSE_SECONDS = 5.0
# Different failures: this many writes at once, then one per interval, each of which writes all that is due.
WRITES_AT_ONCE = 20
SECONDS_PER_WRITE = 0.5


@dataclass(slots=True)
class Entry:
    """One failure: the occurrences that are not written yet, and the monotonic time of the last write."""

    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    written_at: float | None = None

    @property
    def due_at(self) -> float:
        """Return the monotonic time of the next write: at once, or a minute after the last write."""
        return 0.0 if self.written_at is None else self.written_at + REPEAT_SECONDS


class Recorder:
    """The failures of one process. Thread-safe; `clock` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Return to the state of a new process."""
        with self._lock:
            self._entries: OrderedDict[FailureKey, Entry] = OrderedDict()
            self._writes = TokenBucket(
                capacity=WRITES_AT_ONCE, seconds_per_token=SECONDS_PER_WRITE, clock=self.clock
            )
            self._dropped_count, self._dropped_at = 0, -inf
            self._due_at, self._paused_until = inf, 0.0

    @property
    def dropped_count(self) -> int:
        """Return how many failures were dropped because memory was full; 0 after 15 minutes without one."""
        is_recent = self.clock() - self._dropped_at < OUTAGE_CLOSES_AFTER.total_seconds()
        return self._dropped_count if is_recent else 0

    def record(self, *, clerk_id: str | None, source: str, reason: str, at: datetime) -> None:
        """Count a failure, and write it if a write is due. Raises nothing."""
        user = "" if clerk_id is None or is_outage(source=source, reason=reason) else clerk_id
        key = FailureKey(clerk_id=user[:64], source=source[:20], reason=reason[:100])
        with self._lock:
            entry = self._entries.setdefault(key, Entry())
            self._entries.move_to_end(key)
            entry.count += 1
            entry.first_at = entry.first_at or at
            entry.last_at = at
            self._due_at = min(self._due_at, entry.due_at)
            self._drop_oldest()
        if reason == "database_error" and write_connection().connection is None:
            # The caller has just failed to connect, perhaps after a long wait.
            self._pause()
        self.flush(now=at)

    def get_unwritten(self) -> list[CountedFailure]:
        """Return the failures that this process has never written."""
        with self._lock:
            return [
                failure
                for key, entry in self._entries.items()
                if entry.written_at is None and (failure := _pending(key, entry))
            ]

    def is_pending_for(self, clerk_ids: Iterable[str]) -> bool:
        """Return whether failures of one of these users wait to be written."""
        wanted = set(clerk_ids)
        with self._lock:
            return any(key.clerk_id in wanted and entry.count for key, entry in self._entries.items())

    def flush(self, *, now: datetime, force: bool = False) -> None:
        """Write what is due; with `force`, write all pending failures at once. Raises nothing.

        Failures stay in memory if the write fails. Without a due failure this compares two numbers.
        """
        if not force and self.clock() < max(self._due_at, self._paused_until):
            return
        # The rows must survive a rollback of the caller, and must not meet its broken transaction. After a
        # rollback the failures are still pending, for the next call.
        after_commit(partial(self._write, now=now, force=force))

    def _write(self, *, now: datetime, force: bool) -> None:
        batch = self._take_batch(force=force)
        if not batch:
            return
        try:
            retry_on_dead_connection(partial(SyncFailure.objects.record, batch, now=now))
        except Error:
            self._put_back(batch)
            self._pause()
        else:
            self._paused_until = 0.0

    def _take_batch(self, *, force: bool) -> list[CountedFailure]:
        """Return the failures to write now, and mark them as written."""
        now = self.clock()
        with self._lock:
            if not force and not self._writes.take():
                return []
            batch = [
                failure
                for key, entry in self._entries.items()
                if (force or entry.due_at <= now) and (failure := _pending(key, entry))
            ]
            for failure in batch:
                self._entries[failure.key] = Entry(written_at=now)
            self._due_at = min((entry.due_at for entry in self._entries.values() if entry.count), default=inf)
        return batch

    def _put_back(self, batch: list[CountedFailure]) -> None:
        with self._lock:
            for failure in batch:
                entry = self._entries.setdefault(failure.key, Entry())
                entry.count += failure.count
                entry.first_at = failure.first_at
                entry.last_at = entry.last_at or failure.last_at
                entry.written_at = None
            self._due_at = 0.0
            self._drop_oldest()

    def _pause(self) -> None:
        self._paused_until = self.clock() + PAUSE_SECONDS

    def _drop_oldest(self) -> None:
        while len(self._entries) > MAX_ENTRIES:
            _, entry = self._entries.popitem(last=False)
            self._dropped_count, self._dropped_at = self.dropped_count + entry.count, self.clock()


def _pending(key: FailureKey, entry: Entry) -> CountedFailure | None:
    if entry.first_at is None or entry.last_at is None:
        return None
    return CountedFailure(key=key, count=entry.count, first_at=entry.first_at, last_at=entry.last_at)


recorder = Recorder()
