"""Backfill: create or update the row of every user of the Clerk instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from django.db import reset_queries

from accounts.bulk.pages import ProfilePage, iter_pages, store_page
from accounts.bulk.runs import Clock, get_unfinished_run, record_run, save_progress, single_run
from accounts.clerk.api import ClerkAPI
from accounts.models import SyncRun

SOURCE = "backfill"
SEEN, FAILED = "seen", "failed"


def backfill(
    api: ClerkAPI,
    *,
    clock: Clock,
    report: Callable[[Counter[str]], None],
    dry_run: bool = False,
    limit: int | None = None,
    restart: bool = False,
) -> Counter[str]:
    """Store every user and return the number of users by outcome; `report` is called with it after each page.

    An unfinished run resumes after its last committed page, unless `restart`. `limit` stores only the oldest
    users, and the next run does not resume after them. A dry run writes nothing. Raises AlreadyRunning,
    ClerkAPIError and django.db.Error.
    """
    run = SyncRun(kind=SyncRun.Kind.BACKFILL, started_at=clock())
    with ExitStack() as stack:
        if not dry_run:
            stack.enter_context(single_run(SyncRun.Kind.BACKFILL))
            if not restart and limit is None:
                run = get_unfinished_run(SyncRun.Kind.BACKFILL) or run
            stack.enter_context(record_run(run, clock=clock))
        counts = Counter(run.counts)
        report(counts)
        for page in iter_pages(api, starting_after=run.cursor or None, clock=clock):
            if limit is not None:
                page = replace(page, profiles=page.profiles[: limit - counts[SEEN]])  # noqa: PLW2901
            counts += _store(page, dry_run=dry_run)
            report(counts)
            if not dry_run:
                save_progress(run, counts=counts, cursor=None if limit else page.cursor)
            if limit is not None and counts[SEEN] >= limit:
                run.status = SyncRun.Status.INTERRUPTED
                break
            reset_queries()  # with DEBUG, Django keeps the text of every statement: half a megabyte per page
    return counts


def _store(page: ProfilePage, *, dry_run: bool) -> Counter[str]:
    result = store_page(page, source=SOURCE, dry_run=dry_run)
    counts = Counter(str(outcome) for outcome in result.outcomes.values())
    counts[FAILED] += len(result.failed) + page.unusable
    counts[SEEN] += len(page.profiles) + page.unusable
    return counts
