"""Build the sync report: whether this database agrees with Clerk, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import Error

from accounts.conf import get_keys_status, settings
from accounts.db import retry_on_dead_connection
from accounts.models import SyncRun
from health.checks import NotReady, database_check
from health.models import SyncFailure
from health.recorder import recorder
from health.report import facts, reasons
from health.report.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The facts, the reasons for `degraded` that follow from them, and notes that change nothing."""

    reasons: list[Reason]
    failures: facts.FailureFacts
    keys: facts.KeyFacts
    webhooks: facts.WebhookFacts
    people: facts.UserFacts | None
    runs: Mapping[str, facts.RunFacts | None]
    notes: list[Reason]
    is_database_unavailable: bool
    """The database did not answer: the facts come from the memory of one process."""

    @property
    def status(self) -> str:
        """Return "ok" or "degraded"."""
        return "degraded" if self.reasons else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it. The keys are part of the public interface."""
        fields = asdict(self)
        for name in ("failed", "failed_handlers", "refused"):
            del fields["webhooks"][name]
        people = fields["people"] or {"live": None, "without_profile": None}
        shown = {name: fields[name] for name in ("reasons", "failures", "keys", "webhooks", "runs")}
        return {"status": self.status, "people": people, **shown}


def build_report(*, now: datetime, count_users: bool = True) -> Report:
    """Return the report; if the database is down, from the memory of this process.

    Writes the pending failures first. Counting the users reads the whole table and does not affect the
    status: without it the report is cheap.
    """
    try:
        database_check.run()
        return retry_on_dead_connection(partial(_build_from_database, now=now, count_users=count_users))
    except NotReady as refusal:
        return _build_from_memory(code=refusal.status)
    except Error:
        return _build_from_memory(code="database_unavailable")


def _build_from_database(*, now: datetime, count_users: bool) -> Report:
    recorder.flush(now=now, force=True)
    SyncFailure.objects.close_resolved(now=now)
    failures = facts.read_failures(recorder.get_unwritten())
    webhooks = facts.read_webhooks(now=now)
    users = facts.read_users() if count_users else None
    runs = {kind.value: facts.read_run(kind) for kind in SyncRun.Kind}
    keys = facts.read_keys()
    problems = _collect_reasons(failures, keys=keys)
    unusable = [entry for entry in problems if entry.code == facts.UNUSABLE_FIELD]
    # Note [One user's data] in `health.report.facts`
    information = unusable if unusable and not facts.concerns_many_users() else []
    return Report(
        reasons=[
            *(entry for entry in problems if entry not in information),
            *reasons.explain_webhooks(webhooks),
        ],
        failures=failures,
        keys=keys,
        webhooks=webhooks,
        people=users,
        runs=runs,
        notes=[
            *information,
            *reasons.collect_notes(webhooks=webhooks, users=users, backfill=runs["backfill"]),
        ],
        is_database_unavailable=False,
    )


def _build_from_memory(*, code: str) -> Report:
    failures = facts.count_failures(recorder.get_unwritten())
    keys = facts.read_keys()
    state = "unknown" if settings.CLERK_WEBHOOK_SIGNING_SECRET else "not_configured"
    return Report(
        reasons=[reasons.DATABASE[code], *_collect_reasons(failures, keys=keys)],
        failures=failures,
        keys=keys,
        webhooks=facts.WebhookFacts(state=state, rejected=None, failed=None),
        people=None,
        runs={"backfill": None, "reconcile": None},
        notes=[],
        is_database_unavailable=True,
    )


def _collect_reasons(failures: facts.FailureFacts, *, keys: facts.KeyFacts) -> list[Reason]:
    return [
        *reasons.explain_failures(failures, dropped=recorder.dropped_count),
        *reasons.explain_keys(keys, status=get_keys_status()),
    ]
