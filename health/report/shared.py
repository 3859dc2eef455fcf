"""The sync report for requests: one build at a time, which no request waits for longer than 1.5 seconds.

Note [A report that cannot hold threads]
A table that is locked, or a database that hangs, keeps a build waiting. The build has a thread of its own.
While it runs, requests get the last report at once. Without one they wait for the build, until it is 1.5
seconds old.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf

from django.db import connections
from django.utils import timezone

from accounts.clerk.single_flight import Run, SingleFlight
from accounts.clerk.unexpected import log_unexpected
from accounts.deadline import database_deadline
from health.report.build import Report, build_report

DEADLINE_SECONDS = 1.5
# However many anonymous requests arrive, the tables are read once in this time.
STATUS_SECONDS = 2.0
# An older report is not returned: monitoring must notice that there is no newer one.
KEPT_SECONDS = 60.0
# After this time another build may start, for a database connection that never ends.
STUCK_SECONDS = 600.0

logger = logging.getLogger(__name__)


class SharedReports:
    """The last reports of this process: Note [A report that cannot hold threads].

    `build(count_users=...)` returns a report. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        build: Callable[..., Report],
        *,
        deadline: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadline, self._clock = deadline, clock
        self._builds = SingleFlight(
            lambda: build(count_users=self._counts_users),
            name="health-report",
            on_end=self._keep,
            max_seconds=STUCK_SECONDS,
            clock=clock,
        )
        self._counts_users = False
        self.clear()

    def clear(self) -> None:
        """Forget the reports."""
        self._kept: dict[bool, tuple[Report, float]] = {}

    def get(self, *, count_users: bool) -> Report | None:
        """Return a report, or None if none is kept and none is built in time.

        Without `count_users`, a report of the last two seconds is enough.
        """
        if not count_users and (recent := self._find(STATUS_SECONDS, count_users=False)):
            return recent
        end = self._clock() + self._deadline
        for _ in range(2):  # the build in flight may have failed, or be one that does not count the users
            run, is_own = self._join_or_start(count_users=count_users)
            if run is not None and (is_own or self._find(KEPT_SECONDS, count_users=count_users) is None):
                run.ended.wait(max(0.0, min(end, run.started_at + self._deadline) - self._clock()))
            if found := self._find(KEPT_SECONDS, count_users=count_users):
                return found
        return None

    def _join_or_start(self, *, count_users: bool) -> tuple[Run[Report] | None, bool]:
        """Return the build in flight or a new one, and whether it is new; None without a thread for it."""
        is_own = False

        def permitted() -> bool:
            nonlocal is_own
            is_own, self._counts_users = True, count_users
            return True

        try:
            return self._builds.join_or_start(permitted=permitted), is_own
        except RuntimeError:  # the process has no more threads
            return None, False

    def _find(self, max_age: float, *, count_users: bool) -> Report | None:
        """Return the newest report below this age; one that counts the users serves both kinds."""
        kept = [self._kept.get(True), None if count_users else self._kept.get(False)]
        report, built_at = max(filter(None, kept), key=lambda each: each[1], default=(None, -inf))
        return report if self._clock() - built_at < max_age else None

    def _keep(self, run: Run[Report]) -> None:
        if run.result is not None:
            self._kept[self._counts_users] = (run.result, self._clock())
        elif run.error is not None:
            log_unexpected(logger, "The sync report could not be built", error=run.error)


def build_in_thread(*, count_users: bool) -> Report:
    """Build the report in a thread of its own, which leaves no connection to the database."""
    try:
        with database_deadline():
            return build_report(now=timezone.now(), count_users=count_users)
    finally:
        connections.close_all()


shared_reports = SharedReports(build_in_thread)
