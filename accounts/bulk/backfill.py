"""Backfill: every person of the Clerk instance becomes a local row."""

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
    """Bring every person here and return how many there were by outcome; `report` hears of it page by page.

    A run that was stopped goes on after its last committed page; what it had begun comes again and changes
    nothing. `limit` takes a sample from the start and leaves nothing to go on from. A dry run writes nothing
    at all. Raises `AlreadyRunning` and `ClerkAPIError`.
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
            counts += _store(_first(page, limit=limit, seen=counts[SEEN]), dry_run=dry_run)
            report(counts)
            if not dry_run:
                save_progress(run, counts=counts, cursor=None if limit else page.cursor)
            if limit is not None and counts[SEEN] >= limit:
                run.status = SyncRun.Status.INTERRUPTED
                break
            reset_queries()  # in debug Django keeps the text of every statement: half a megabyte a page
    return counts


def _first(page: ProfilePage, *, limit: int | None, seen: int) -> ProfilePage:
    if limit is None:
        return page
    return replace(page, profiles=page.profiles[: limit - seen])


def _store(page: ProfilePage, *, dry_run: bool) -> Counter[str]:
    result = store_page(page, source=SOURCE, dry_run=dry_run)
    counts = Counter(str(outcome) for outcome in result.outcomes.values())
    counts[FAILED] += len(result.failed) + len(page.unusable)
    counts[SEEN] += len(page.profiles) + len(page.unusable)
    return counts
