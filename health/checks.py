"""Readiness: each check returns nothing, or raises `NotReady`. No check calls Clerk."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from accounts.clerk.single_flight import Run, SingleFlight
from accounts.conf import get_key_source, get_keys_status
from accounts.db import write_alias

DATABASE_SECONDS = 1.0
# However many probes come, the database is asked once in this time.
REMEMBERED_SECONDS = 1.0
# The limit of the attempt itself, which its callers do not wait for: the minimum that libpq accepts.
CONNECT_SECONDS = 2


class NotReady(Exception):
    """A check failed; `status` is a code that anonymous requests may read."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class DatabaseCheck:
    """Check that the database answers within a second, can be written to, and has all migrations.

    Note [A probe that cannot hang]
    A host that is unreachable sends no error, so a statement timeout does not help: an open connection may
    wait for 15 minutes. Therefore the check uses a separate connection in a separate thread. While that
    thread waits, no second one is started and every probe fails, without a wait once the thread has waited a
    second. The result of an attempt is valid for a second. `clock` is monotonic, in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts = SingleFlight(self._query, name="health-database", on_end=self._remember, clock=clock)
        self._is_migrated = False
        self.forget()

    def forget(self) -> None:
        """Ask the database at the next run."""
        self._last: Run[None] | None = None
        self._valid_until = -inf

    def run(self) -> None:
        """Raise NotReady unless the database answers, takes writes and is migrated, or did a second ago."""
        last = self._last
        if last is not None and self._clock() < self._valid_until:
            return _raise_error(last)
        try:
            attempt = self._attempts.join_or_start()
        except RuntimeError as error:  # the process has no more threads
            raise NotReady("database_unavailable") from error
        if attempt is None or not attempt.ended.wait(self._seconds_left(attempt)):
            raise NotReady("database_unavailable")
        return _raise_error(attempt)

    def _seconds_left(self, attempt: Run[None]) -> float:
        return max(0.0, attempt.started_at + DATABASE_SECONDS - self._clock())

    def _remember(self, attempt: Run[None]) -> None:
        self._last, self._valid_until = attempt, self._clock() + REMEMBERED_SECONDS

    def _query(self) -> None:
        # Django reads the applied migrations by alias, so this thread's connection is replaced.
        alias = write_alias()
        connection = connections[alias] = _copy_with_short_timeouts(connections[alias])
        try:
            if _is_read_only(connection):
                raise NotReady("database_read_only")
            # Migrations are not reverted while a process runs: once all are applied, the check is skipped.
            self._is_migrated = self._is_migrated or _is_migrated(connection)
        finally:
            connection.close()
        if not self._is_migrated:
            raise NotReady("migrations_pending")


def _raise_error(attempt: Run[None]) -> None:
    """Raise NotReady if the attempt failed."""
    if isinstance(attempt.error, NotReady):
        raise NotReady(attempt.error.status)
    if attempt.error is not None:
        # Not always a `django.db.Error`: an option that a driver cannot use is its TypeError.
        raise NotReady("database_unavailable") from attempt.error


class KeyCheck:
    """Check that this process has held a verification key at least once, or that one is set as PEM.

    A server without `config.wsgi` fetches no keys when it starts. Its first probe is then the first use, and
    starts the thread that fetches them; no probe waits for Clerk.
    """

    def run(self) -> None:
        """Raise NotReady without a key."""
        if get_keys_status().held:
            return
        with suppress(Exception):  # the settings are wrong, or there is no thread: no key either way
            get_key_source().start()
        raise NotReady("no_verification_key")


def _copy_with_short_timeouts(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    copy = connection.copy()
    if copy.vendor == "postgresql":
        options = {name: value for name, value in copy.settings_dict["OPTIONS"].items() if name != "pool"}
        # The client applies both, so a connection pooler needs no support for them.
        options |= {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": CONNECT_SECONDS * 1000}
        copy.settings_dict["OPTIONS"] = options
    return copy


def _is_read_only(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the server is a standby, as the old primary is after a fail-over."""
    query = "SELECT pg_is_in_recovery()" if connection.vendor == "postgresql" else "SELECT false"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return bool(cursor.fetchone()[0])


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


database_check = DatabaseCheck()
READINESS = (database_check, KeyCheck())
