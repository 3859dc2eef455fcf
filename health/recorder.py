"""Failures on their way into the database: counted in memory, written when it is cheap and possible.

Whoever reports a failure is already in trouble, so recording never raises, writes the same failure at most
once a minute per process, and keeps at most a thousand different ones while the database cannot take them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import Error, connection, transaction

from accounts.sync import run_with_fresh_connection
from health.models import OUTAGES, FailureKey, Failures, SyncFailure

CAPACITY = 1_000
REPEAT_SECONDS = 60.0
# After a write that failed: requests must not wait for a dead database a second time.
PAUSE_SECONDS = 5.0


@dataclass(slots=True)
class Entry:
    """What this process knows of one failure: what it has not written yet, and when it last wrote."""

    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    written: float | None = None

    def is_due(self, moment: float) -> bool:
        """Tell whether the last write, by the monotonic clock, is a minute ago or never was."""
        return self.written is None or moment - self.written >= REPEAT_SECONDS


class Recorder:
    """The failures of one process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[FailureKey, Entry] = OrderedDict()
        self._paused_until = 0.0
        self._lost = 0

    @property
    def lost(self) -> int:
        """How many failures had to be forgotten because a thousand different ones were waiting."""
        return self._lost

    @property
    def is_waiting(self) -> bool:
        """Tell whether the last write failed, and it is time for the next."""
        return 0 < self._paused_until <= time.monotonic()

    def record(self, *, clerk_id: str | None, source: str, reason: str, at: datetime) -> None:
        """Count a failure, and write it unless the same one was written within the last minute."""
        person = "" if clerk_id is None or reason in OUTAGES else clerk_id
        key = FailureKey(clerk_id=person[:64], source=source[:20], reason=reason[:100])
        with self._lock:
            entry = self._entries.setdefault(key, Entry())
            self._entries.move_to_end(key)
            entry.count += 1
            entry.first_at = entry.first_at or at
            entry.last_at = at
            self._make_room()
        if entry.is_due(time.monotonic()):
            self.flush(now=at)

    def unwritten(self) -> list[Failures]:
        """Give what waits here and has no row yet, as far as this process knows."""
        with self._lock:
            return [
                found
                for key, entry in self._entries.items()
                if entry.written is None and (found := _failures(key, entry))
            ]

    def flush(self, *, now: datetime, everything: bool = False) -> None:
        """Write what is due, keep it when that fails; with `everything`, regardless of minute and pause."""
        if not everything and time.monotonic() < self._paused_until:
            return
        if connection.in_atomic_block:
            # A row of ours must neither vanish with a foreign rollback nor meet a broken transaction. After a
            # rollback the failures still wait here, for the next contact.
            transaction.on_commit(partial(self._write, now=now, everything=everything), robust=True)
        else:
            self._write(now=now, everything=everything)

    def _write(self, *, now: datetime, everything: bool) -> None:
        batch = self._take(everything=everything)
        if not batch:
            return
        try:
            run_with_fresh_connection(partial(SyncFailure.objects.record, batch, now=now))
        except Error:
            self._put_back(batch)
            self._paused_until = time.monotonic() + PAUSE_SECONDS
        else:
            self._paused_until = 0.0

    def forget(self) -> None:
        """Forget everything, as a new process would."""
        with self._lock:
            self._entries.clear()
            self._lost, self._paused_until = 0, 0.0

    def _take(self, *, everything: bool) -> list[Failures]:
        moment = time.monotonic()
        with self._lock:
            batch = [
                found
                for key, entry in self._entries.items()
                if (everything or entry.is_due(moment)) and (found := _failures(key, entry))
            ]
            for failures in batch:
                self._entries[failures.key] = Entry(written=moment)
        return batch

    def _put_back(self, batch: list[Failures]) -> None:
        with self._lock:
            for failures in batch:
                entry = self._entries.setdefault(failures.key, Entry())
                entry.count += failures.count
                entry.first_at = failures.first_at
                entry.last_at = entry.last_at or failures.last_at
                entry.written = None
            self._make_room()

    def _make_room(self) -> None:
        while len(self._entries) > CAPACITY:
            _, entry = self._entries.popitem(last=False)
            self._lost += entry.count


def _failures(key: FailureKey, entry: Entry) -> Failures | None:
    if entry.first_at is None or entry.last_at is None:
        return None
    return Failures(key=key, count=entry.count, first_at=entry.first_at, last_at=entry.last_at)


recorder = Recorder()
