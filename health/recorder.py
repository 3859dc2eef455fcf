"""Failures on their way into the database: counted in memory, written when it is cheap and possible.

Whoever reports a failure is already in trouble, so recording never raises and never waits for a database that
is away, writes the same failure at most once a minute per process and different ones at most twice a second
in the long run, and keeps at most a thousand different ones until they are written.
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
from health.models import QUIET, FailureKey, Failures, SyncFailure, is_outage

CAPACITY = 1_000
REPEAT_SECONDS = 60.0
# After a write that failed: requests must not wait for a dead database a second time.
PAUSE_SECONDS = 5.0
# A flood of different failures is written in batches: so many at once, then one per interval.
WRITES_AT_ONCE = 20
SECONDS_PER_WRITE = 0.5


@dataclass(slots=True)
class Entry:
    """What this process knows of one failure: what it has not written yet, and when it last wrote."""

    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    written: float | None = None

    @property
    def due_at(self) -> float:
        """When it may be written, by the monotonic clock: at once, or a minute after the last time."""
        return 0.0 if self.written is None else self.written + REPEAT_SECONDS


class Recorder:
    """The failures of one process. Safe to use from several threads; `clock` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Forget everything, as a new process would."""
        with self._lock:
            self._entries: OrderedDict[FailureKey, Entry] = OrderedDict()
            self._writes = TokenBucket(
                capacity=WRITES_AT_ONCE, seconds_per_token=SECONDS_PER_WRITE, clock=self.clock
            )
            self._lost, self._lost_at = 0, -inf
            # Before the one nothing need be written, before the other nothing can.
            self._due_at, self._paused_until = inf, 0.0

    @property
    def lost(self) -> int:
        """How many failures had to be forgotten because a thousand different ones were waiting.

        None any more, once it has not happened for a quarter of an hour: that outage is over.
        """
        return self._lost if self.clock() - self._lost_at < QUIET.total_seconds() else 0

    def record(self, *, clerk_id: str | None, source: str, reason: str, at: datetime) -> None:
        """Count a failure, and write it if that is due."""
        person = "" if clerk_id is None or is_outage(source=source, reason=reason) else clerk_id
        key = FailureKey(clerk_id=person[:64], source=source[:20], reason=reason[:100])
        with self._lock:
            entry = self._entries.setdefault(key, Entry())
            self._entries.move_to_end(key)
            entry.count += 1
            entry.first_at = entry.first_at or at
            entry.last_at = at
            self._due_at = min(self._due_at, entry.due_at)
            self._make_room()
        if reason == "database_error" and write_connection().connection is None:
            # Whoever met it has just failed to connect, perhaps after a long wait.
            self._pause()
        self.flush(now=at)

    def unwritten(self) -> list[Failures]:
        """Give what waits here and has no row yet, as far as this process knows."""
        with self._lock:
            return [
                found
                for key, entry in self._entries.items()
                if entry.written is None and (found := _failures(key, entry))
            ]

    def holds(self, clerk_ids: Iterable[str]) -> bool:
        """Tell whether failures of one of these people wait here."""
        wanted = set(clerk_ids)
        with self._lock:
            return any(key.clerk_id in wanted and entry.count for key, entry in self._entries.items())

    def flush(self, *, now: datetime, everything: bool = False) -> None:
        """Write what is due, keep it when that fails; with `everything`, write all that waits, now.

        Costs next to nothing when nothing is due.
        """
        if not everything and self.clock() < max(self._due_at, self._paused_until):
            return
        if write_connection().in_atomic_block:
            # A row of ours must neither vanish with a foreign rollback nor meet a broken transaction. After a
            # rollback the failures still wait here, for the next contact.
            after_commit(partial(self._write, now=now, everything=everything))
        else:
            self._write(now=now, everything=everything)

    def _write(self, *, now: datetime, everything: bool) -> None:
        batch = self._take(everything=everything)
        if not batch:
            return
        try:
            retry_on_dead_connection(partial(SyncFailure.objects.record, batch, now=now))
        except Error:
            self._put_back(batch)
            self._pause()
        else:
            self._paused_until = 0.0

    def _take(self, *, everything: bool) -> list[Failures]:
        moment = self.clock()
        with self._lock:
            if not everything and not self._writes.take():
                return []
            batch = [
                found
                for key, entry in self._entries.items()
                if (everything or entry.due_at <= moment) and (found := _failures(key, entry))
            ]
            for failures in batch:
                self._entries[failures.key] = Entry(written=moment)
            self._due_at = min((entry.due_at for entry in self._entries.values() if entry.count), default=inf)
        return batch

    def _put_back(self, batch: list[Failures]) -> None:
        with self._lock:
            for failures in batch:
                entry = self._entries.setdefault(failures.key, Entry())
                entry.count += failures.count
                entry.first_at = failures.first_at
                entry.last_at = entry.last_at or failures.last_at
                entry.written = None
            self._due_at = 0.0
            self._make_room()

    def _pause(self) -> None:
        self._paused_until = self.clock() + PAUSE_SECONDS

    def _make_room(self) -> None:
        while len(self._entries) > CAPACITY:
            _, entry = self._entries.popitem(last=False)
            self._lost, self._lost_at = self.lost + entry.count, self.clock()


def _failures(key: FailureKey, entry: Entry) -> Failures | None:
    if entry.first_at is None or entry.last_at is None:
        return None
    return Failures(key=key, count=entry.count, first_at=entry.first_at, last_at=entry.last_at)


recorder = Recorder()
