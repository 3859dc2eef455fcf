"""Reconcile: find where the rows here and the people in Clerk differ, and mend it on request."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.db import reset_queries
from django.db.models import Count, Q
from django.db.models.functions import Lower

from accounts.bulk.drift import Drift, DriftReport, Stopped
from accounts.bulk.pages import ProfilePage, ask, iter_pages, milliseconds, page_of, store_page
from accounts.bulk.runs import Clock, record_run, single_run
from accounts.clerk.api import ClerkAPI, UserAnswer
from accounts.clerk.profiles import Source
from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import Outcome, RestoreRefused, delete_user, restore_user

SOURCE = "reconcile"
ROWS_AT_ONCE = 2_000
MASS_SHARE, MASS_USERS = 0.10, 10
SHARED_ADDRESSES_MAX = 100
DRIFT_OF = {Outcome.CREATED: Drift.MISSING, Outcome.UPDATED: Drift.STALE}


def reconcile(
    api: ClerkAPI,
    *,
    clock: Clock,
    report: Callable[[DriftReport], None],
    apply: bool = False,
    allow_mass_deletion: bool = False,
) -> DriftReport:
    """Compare every user, correct if `apply`, and return what was found; `report` is called after each page.

    Raises `AlreadyRunning` and `ClerkAPIError`; then no row was deleted, since that comes last.
    """
    run = SyncRun(kind=SyncRun.Kind.RECONCILE, started_at=clock())
    with single_run(SyncRun.Kind.RECONCILE), record_run(run, clock=clock):
        comparison = _Comparison(api, clock=clock, apply=apply, live=_count_live_rows())
        comparison.walk(report)
        comparison.look_for_the_gone(born_before=run.started_at, allow_mass_deletion=allow_mass_deletion)
        comparison.look_at_tombstones()
        comparison.result.shared_addresses = _shared_addresses()
        run.counts = comparison.result.counts()
    return comparison.result


class _SeenIds:
    """Eight bytes a person: a collision of hashes could hide a difference, never make one."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, clerk_ids: Iterable[str]) -> None:
        self._hashes.extend(map(hash, clerk_ids))

    def sort(self) -> None:
        self._hashes = array("q", sorted(self._hashes))

    def __contains__(self, clerk_id: str) -> bool:
        wanted = hash(clerk_id)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


class _Comparison:
    """One walk through Clerk's list and what it leads to."""

    def __init__(self, api: ClerkAPI, *, clock: Clock, apply: bool, live: int) -> None:
        self.result = DriftReport()
        self._live = live  # before anything is stored
        self._api = api
        self._clock = clock
        self._apply = apply
        self._seen = _SeenIds()
        self._buried: list[str] = []  # alive in the list, deleted here by Clerk's word

    def walk(self, report: Callable[[DriftReport], None]) -> None:
        """Compare page by page."""
        self.result.expected = self._api.count()
        for page in iter_pages(self._api, clock=self._clock):
            self._seen.add(profile.clerk_id for profile in page.profiles)
            self.result.listed += len(page.profiles) + len(page.unusable)
            self._compare(page)
            report(self.result)
            reset_queries()
        self._seen.sort()

    def look_for_the_gone(self, *, born_before: datetime, allow_mass_deletion: bool) -> None:
        """Ask Clerk about each live row that its list did not name, unless there are suspiciously many."""
        absent = [
            clerk_id for clerk_id in _live_clerk_ids(born_before=born_before) if clerk_id not in self._seen
        ]
        self.result.stopped = self._suspicion(len(absent), allow_mass_deletion=allow_mass_deletion)
        if self.result.stopped:
            self.result.tallies[Drift.GONE].add(absent, mended=False)
            return
        for clerk_id in absent:
            answer, moment = ask(self._api, clerk_id, clock=self._clock)
            if answer.user is not None:
                self._compare(self._page_of(answer))
                continue
            is_deleted = self._apply and self._delete(clerk_id, at=moment)
            self.result.tallies[Drift.GONE].add([clerk_id], mended=is_deleted)

    def look_at_tombstones(self) -> None:
        """Ask Clerk about each person who is deleted here by its own word and yet in its list."""
        for clerk_id in self._buried:
            buried = User.objects.filter(clerk_id=clerk_id, deleted_at__isnull=False)
            row = buried.filter(deleted_by=DeletedBy.CLERK).order_by("-deleted_at").first()
            answer, moment = ask(self._api, clerk_id, clock=self._clock)
            if row is not None and answer.user is not None:
                is_restored = self._apply and self._restore(row, answer=answer, at=moment)
                self.result.tallies[Drift.ALIVE].add([clerk_id], mended=is_restored)

    def _compare(self, page: ProfilePage) -> None:
        result = store_page(page, source=SOURCE, dry_run=not self._apply)
        stale = []
        for clerk_id, outcome in result.outcomes.items():
            if outcome in DRIFT_OF:
                self.result.tallies[DRIFT_OF[outcome]].add([clerk_id], mended=self._apply)
            elif outcome == Outcome.STALE:
                stale.append(clerk_id)
        self.result.tallies[Drift.FAILED].add([*result.failed, *page.unusable], mended=False)
        self._sort_out(stale)

    def _sort_out(self, stale: list[str]) -> None:
        """Tell people deleted here by Clerk's word from those whom an operator deleted."""
        if not stale:
            return
        rows = User.objects.live_or_deleted().filter(clerk_id__in=stale)
        endings = defaultdict(set)
        for clerk_id, deleted_at, deleted_by in rows.values_list("clerk_id", "deleted_at", "deleted_by"):
            endings[clerk_id].add(deleted_by if deleted_at else None)
        for clerk_id, ways in endings.items():
            if clerk_id is None or None in ways:
                continue  # a live row that knows more than this answer
            if DeletedBy.CLERK in ways:
                self._buried.append(clerk_id)
            else:
                self.result.deleted_here += 1

    def _suspicion(self, absent: int, *, allow_mass_deletion: bool) -> Stopped | None:
        """Return the reason not to believe that these users are deleted in Clerk, or None.

        Note [When no row is deleted]
        A list that broke off makes many users look deleted. Where Clerk's own count shows that the list is
        too short, no option helps; where a great share is missing, an operator must confirm it. The share is
        of the rows that were live before this run stored anything: users that it creates are no evidence.
        """
        if _is_mass(self.result.expected - self.result.listed, of=self.result.expected):
            return Stopped.LISTING_INCOMPLETE
        if _is_mass(absent, of=self._live) and not allow_mass_deletion:
            return Stopped.MASS_DELETION
        return None

    def _delete(self, clerk_id: str, *, at: int) -> bool:
        return delete_user(clerk_id, at=at, source=Source.API) != Outcome.STALE

    def _restore(self, row: User, *, answer: UserAnswer, at: int) -> bool:
        try:
            restore_user(row, at=at)
        except RestoreRefused:
            return False
        result = store_page(self._page_of(answer), source=SOURCE)
        return not result.failed

    def _page_of(self, answer: UserAnswer) -> ProfilePage:
        return page_of(answer, now=milliseconds(self._clock))


def _is_mass(users: int, *, of: int) -> bool:
    """Return whether these are more than half of all (so all of them too), or many and a great share."""
    return 2 * users > of or (users > MASS_USERS and users > of * MASS_SHARE)


def _count_live_rows() -> int:
    return User.objects.live().exclude(clerk_id=None).count()


def _live_clerk_ids(*, born_before: datetime) -> Iterator[str]:
    """Yield the ids of the rows that the list should have named.

    By key, not by a server-side cursor, which PgBouncer in transaction mode does not keep.
    """
    rows = User.objects.live().filter(created_at__lt=born_before).order_by("clerk_id")
    last = ""
    while True:
        page = rows.filter(clerk_id__gt=last).values_list("clerk_id", flat=True)[:ROWS_AT_ONCE]
        ids = [clerk_id for clerk_id in page if clerk_id]
        yield from ids
        if len(ids) < ROWS_AT_ONCE:
            return
        last = ids[-1]


def _shared_addresses() -> list[list[str]]:
    """Return the Clerk ids behind each address that several live rows have; the addresses stay here."""
    live = User.objects.live().exclude(Q(clerk_id=None) | Q(email=None)).annotate(address=Lower("email"))
    shared = live.values("address").annotate(rows=Count("pk")).filter(rows__gt=1).values("address")
    groups: defaultdict[str, list[str]] = defaultdict(list)
    wanted = list(shared.order_by("address").values_list("address", flat=True)[:SHARED_ADDRESSES_MAX])
    found = live.filter(address__in=wanted).order_by("clerk_id")
    for address, clerk_id in found.values_list("address", "clerk_id"):
        groups[address].append(clerk_id or "")
    return list(groups.values())
