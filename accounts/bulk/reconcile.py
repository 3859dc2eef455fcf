"""Reconcile: find the differences between Clerk and this database, and fix them on request."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from django.db import reset_queries
from django.db.models import Count, Q
from django.db.models.functions import Lower

from accounts.bulk.drift import Drift, DriftReport, StopReason
from accounts.bulk.pages import ProfilePage, fetch_user, iter_pages, read_page, store_page
from accounts.bulk.runs import Clock, record_run, single_run
from accounts.clerk.api import ClerkAPI, UserAnswer
from accounts.clerk.profiles import Source
from accounts.models import AbstractClerkIdentity, DeletedBy, SyncRun, get_identity_model
from accounts.sync import Outcome, RestoreRefused, delete_user, restore_user

SOURCE = "reconcile"
BATCH_ROWS = 2_000
MASS_SHARE, MASS_USERS = 0.10, 10
MAX_SHARED_ADDRESSES = 100
DRIFT_BY_OUTCOME = {Outcome.CREATED: Drift.MISSING, Outcome.UPDATED: Drift.STALE}


def reconcile(
    api: ClerkAPI,
    *,
    clock: Clock,
    report: Callable[[DriftReport], None],
    apply: bool = False,
    allow_mass_deletion: bool = False,
) -> DriftReport:
    """Compare every user, fix the differences if `apply`, and return the report.

    `report` is called after each page. Raises AlreadyRunning, ClerkAPIError and django.db.Error. If Clerk's
    list cannot be read to its end, no row is deleted.
    """
    run = SyncRun(kind=SyncRun.Kind.RECONCILE, started_at=clock())
    with single_run(SyncRun.Kind.RECONCILE), record_run(run, clock=clock):
        reconciliation = _Reconciliation(api, clock=clock, apply=apply)
        reconciliation.sync_pages(report)
        reconciliation.check_missing(created_before=run.started_at, allow_mass_deletion=allow_mass_deletion)
        reconciliation.check_deleted()
        reconciliation.result.shared_addresses = _get_shared_addresses()
        run.counts = reconciliation.result.counts()
    return reconciliation.result


class _Reconciliation:
    """The three steps of a run, and what they found."""

    def __init__(self, api: ClerkAPI, *, clock: Clock, apply: bool) -> None:
        self.result = DriftReport()
        self._api = api
        self._clock = clock
        self._apply = apply
        # Before this run stores anything: Note [When no row is deleted].
        self._live_rows = get_identity_model().objects.live().exclude(clerk_id=None).count()
        # Hashes take 0.7 GB for ten million users, ids 1.2 GB. A collision can only hide a missing user; it
        # never deletes one.
        self._listed_hashes: set[int] = set()
        # Listed by Clerk, marked in this database as deleted in Clerk.
        self._wrongly_deleted: list[str] = []

    def sync_pages(self, report: Callable[[DriftReport], None]) -> None:
        """Compare each page of Clerk's list, and store it if `apply`.

        Raises ClerkAPIError and django.db.Error.
        """
        self.result.expected = self._api.count()
        for page in iter_pages(self._api, clock=self._clock):
            self._listed_hashes.update(hash(profile.clerk_id) for profile in page.profiles)
            self.result.listed += len(page.profiles) + page.unusable
            self._sync_page(page)
            report(self.result)
            reset_queries()

    def check_missing(self, *, created_before: datetime, allow_mass_deletion: bool) -> None:
        """Fetch each user whose live row Clerk's list lacks.

        If Clerk has no such user, delete the row if `apply`. Raises ClerkAPIError and django.db.Error.
        """
        rows = _iter_live_clerk_ids(created_before=created_before)
        missing = [clerk_id for clerk_id in rows if hash(clerk_id) not in self._listed_hashes]
        self.result.stopped = self._get_stop_reason(len(missing), allow_mass_deletion=allow_mass_deletion)
        if self.result.stopped:
            self.result.tallies[Drift.DELETED_IN_CLERK].add(missing, fixed=False)
            return
        for clerk_id in missing:
            answer, at = fetch_user(self._api, clerk_id, clock=self._clock)
            if answer.user is not None:
                self._sync_page(self._read_page(answer))
                continue
            is_deleted = self._apply and delete_user(clerk_id, at=at, source=Source.API) != Outcome.STALE
            self.result.tallies[Drift.DELETED_IN_CLERK].add([clerk_id], fixed=is_deleted)

    def check_deleted(self) -> None:
        """Fetch each listed user whose row is marked as deleted in Clerk; restore the row if `apply`.

        Raises ClerkAPIError and django.db.Error.
        """
        for clerk_id in self._wrongly_deleted:
            deleted = get_identity_model().objects.filter(clerk_id=clerk_id, deleted_at__isnull=False)
            row = deleted.filter(deleted_by=DeletedBy.CLERK).order_by("-deleted_at").first()
            answer, at = fetch_user(self._api, clerk_id, clock=self._clock)
            if row is not None and answer.user is not None:
                is_restored = self._apply and self._restore(row, answer=answer, at=at)
                self.result.tallies[Drift.WRONGLY_DELETED].add([clerk_id], fixed=is_restored)

    def _sync_page(self, page: ProfilePage) -> None:
        result = store_page(page, source=SOURCE, dry_run=not self._apply)
        for clerk_id, outcome in result.outcomes.items():
            if outcome in DRIFT_BY_OUTCOME:
                self.result.tallies[DRIFT_BY_OUTCOME[outcome]].add([clerk_id], fixed=self._apply)
        self.result.tallies[Drift.FAILED].add(result.failed, fixed=False)
        self.result.tallies[Drift.FAILED].found += page.unusable
        self._classify([each for each, outcome in result.outcomes.items() if outcome == Outcome.STALE])

    def _classify(self, stale: list[str]) -> None:
        """Separate users whose row is marked as deleted in Clerk from those that an operator deleted.

        A stale outcome with a live row means that the row is newer than the list.
        """
        if not stale:
            return
        rows = get_identity_model().objects.live_or_deleted().filter(clerk_id__in=stale)
        found = list(rows.values_list("clerk_id", "deleted_at", "deleted_by"))
        live = {clerk_id for clerk_id, deleted_at, _ in found if deleted_at is None}
        in_clerk = {clerk_id for clerk_id, _, deleted_by in found if deleted_by == DeletedBy.CLERK} - live
        self._wrongly_deleted += [clerk_id for clerk_id in stale if clerk_id in in_clerk]
        self.result.deleted_here += len({clerk_id for clerk_id, _, _ in found} - live - in_clerk)

    def _get_stop_reason(self, missing: int, *, allow_mass_deletion: bool) -> StopReason | None:
        """Return why no row may be deleted, or None.

        Note [When no row is deleted]
        A list that broke off makes many users look deleted. Where Clerk's own count shows that the list is
        too short, no option helps; where a great share is missing, an operator must confirm it. The share is
        of the rows that were live before this run stored anything: users that it creates are no evidence.
        """
        if _is_mass(self.result.expected - self.result.listed, of=self.result.expected):
            return StopReason.LISTING_INCOMPLETE
        if _is_mass(missing, of=self._live_rows) and not allow_mass_deletion:
            return StopReason.MASS_DELETION
        return None

    def _restore(self, row: AbstractClerkIdentity, *, answer: UserAnswer, at: int) -> bool:
        try:
            restore_user(row, at=at)
        except RestoreRefused:
            return False
        return not store_page(self._read_page(answer), source=SOURCE).failed

    def _read_page(self, answer: UserAnswer) -> ProfilePage:
        return read_page([answer.user], answered_at=answer.answered_at, clock=self._clock)


def _is_mass(users: int, *, of: int) -> bool:
    """Return whether these are more than half of all (so all of them too), or many and a great share."""
    return 2 * users > of or (users > MASS_USERS and users > of * MASS_SHARE)


def _iter_live_clerk_ids(*, created_before: datetime) -> Iterator[str]:
    """Yield the Clerk id of each live row that Clerk's list should contain.

    In batches by key: PgBouncer in transaction mode does not keep a server-side cursor.
    """
    rows = get_identity_model().objects.live().filter(created_at__lt=created_before).order_by("clerk_id")
    last = ""
    while True:
        batch = rows.filter(clerk_id__gt=last).values_list("clerk_id", flat=True)[:BATCH_ROWS]
        ids = [clerk_id for clerk_id in batch if clerk_id]
        yield from ids
        if len(ids) < BATCH_ROWS:
            return
        last = ids[-1]


def _get_shared_addresses() -> list[list[str]]:
    """Return the Clerk ids of each e-mail address that several live rows have, without the address."""
    found = get_identity_model().objects.live().exclude(Q(clerk_id=None) | Q(email=None))
    live = found.annotate(address=Lower("email"))
    shared = live.values("address").annotate(rows=Count("pk")).filter(rows__gt=1).values("address")
    groups: defaultdict[str, list[str]] = defaultdict(list)
    wanted = list(shared.order_by("address").values_list("address", flat=True)[:MAX_SHARED_ADDRESSES])
    found = live.filter(address__in=wanted).order_by("clerk_id")
    for address, clerk_id in found.values_list("address", "clerk_id"):
        groups[address].append(clerk_id or "")
    return list(groups.values())
