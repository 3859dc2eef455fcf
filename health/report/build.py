"""The sync report: whether what we know of people is what Clerk knows, and if not, why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from math import inf
from typing import Any

from django.conf import settings
from django.db import Error

from accounts.conf import get_keys_status
from accounts.db import retry_on_dead_connection
from accounts.models import SyncRun
from health.checks import NotReady, database_check
from health.models import SyncFailure
from health.recorder import recorder
from health.report import reasons
from health.report.facts import (
    FailureFacts,
    KeyFacts,
    PeopleFacts,
    RunFacts,
    WebhookFacts,
    count_unwritten_failures,
    read_failures,
    read_keys,
    read_people,
    read_run,
    read_webhooks,
)
from health.report.reasons import Reason

# Anonymous requests may come in any number; the tables are read this seldom.
STATUS_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The facts, what follows from them, and what is worth knowing besides."""

    reasons: list[Reason]
    failures: FailureFacts
    keys: KeyFacts
    webhooks: WebhookFacts
    people: PeopleFacts | None
    runs: Mapping[str, RunFacts | None]
    notes: list[Reason]
    is_database_unavailable: bool
    """The database could not be asked: what stands here is from the memory of one process."""

    @property
    def status(self) -> str:
        """One word: ok or degraded."""
        return "degraded" if self.reasons else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Give the report in the shape that machines read, whose keys are fixed."""
        facts = asdict(self)
        del facts["webhooks"]["failed"]
        people = facts["people"] or {"live": None, "without_profile": None}
        shown = {name: facts[name] for name in ("reasons", "failures", "keys", "webhooks", "runs")}
        return {"status": self.status, "people": people, **shown}


def build_report(*, now: datetime, count_people: bool = True) -> Report:
    """Look at everything and judge it; without a database, from memory. Records what waited to be.

    Counting the people reads the whole table and changes no judgement: without it this is cheap.
    """
    try:
        database_check.run()
        return retry_on_dead_connection(partial(_read, now=now, count_people=count_people))
    except NotReady as refusal:
        return _recall(trouble=refusal.status)
    except Error:
        return _recall(trouble="database_unavailable")


class StatusMemo:
    """The status for anonymous requests, read again every two seconds; `clock` is monotonic, in seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._status = ""
        self._expires = -inf

    def read(self, *, now: datetime) -> str:
        """Return the status, at most two seconds old."""
        with self._lock:
            if self._clock() >= self._expires:
                self.keep(build_report(now=now, count_people=False))
            return self._status

    def keep(self, report: Report) -> None:
        """Keep the status of a report that was built for another request."""
        self._status, self._expires = report.status, self._clock() + STATUS_SECONDS

    def forget(self) -> None:
        """Read the tables again at the next request."""
        self._expires = -inf


status_memo = StatusMemo()


def _read(*, now: datetime, count_people: bool) -> Report:
    recorder.flush(now=now, everything=True)
    SyncFailure.objects.close_resolved(now=now)
    failures = read_failures(recorder.unwritten())
    webhooks = read_webhooks(now=now)
    people = read_people() if count_people else None
    runs = {"backfill": read_run(SyncRun.Kind.BACKFILL), "reconcile": read_run(SyncRun.Kind.RECONCILE)}
    keys = read_keys()
    return Report(
        reasons=[*_trouble(failures, keys=keys), *reasons.webhook_reasons(webhooks)],
        failures=failures,
        keys=keys,
        webhooks=webhooks,
        people=people,
        runs=runs,
        notes=reasons.notes(webhooks=webhooks, people=people, backfill=runs["backfill"]),
        is_database_unavailable=False,
    )


def _recall(*, trouble: str) -> Report:
    failures = count_unwritten_failures(recorder.unwritten())
    keys = read_keys()
    state = "unknown" if settings.CLERK_WEBHOOK_SIGNING_SECRET else "not_configured"
    return Report(
        reasons=[reasons.DATABASE[trouble], *_trouble(failures, keys=keys)],
        failures=failures,
        keys=keys,
        webhooks=WebhookFacts(state=state, rejected=None, failed=None),
        people=None,
        runs={"backfill": None, "reconcile": None},
        notes=[],
        is_database_unavailable=True,
    )


def _trouble(failures: FailureFacts, *, keys: KeyFacts) -> list[Reason]:
    return [
        *reasons.failure_reasons(failures, lost=recorder.lost),
        *reasons.key_reasons(keys, status=get_keys_status()),
    ]
