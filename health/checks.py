"""What must hold before requests are sent here: small checks that return nothing or raise `NotReady`.

None of them asks Clerk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from accounts.clerk.single_flight import SingleFlight
from accounts.conf import get_keys_status
from accounts.db import write_alias

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

DATABASE_SECONDS = 1.0
# How long the attempt itself may live after its callers have left: the least that libpq accepts.
CONNECT_SECONDS = 2


class NotReady(Exception):
    """A check failed; `status` is a code without internals, for anonymous requests."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class DatabaseCheck:
    """The database answers within a second and all migrations are applied.

    Note [A probe that cannot hang]
    A host that vanished answers nothing at all: no timeout of a statement helps, and an open connection may
    wait for a quarter of an hour. The check therefore uses a connection of its own, in a thread of its own.
    While one such thread is stuck, no second one is started and every probe fails.
    """

    def __init__(self) -> None:
        self._attempts = SingleFlight(self._query, name="health-database")
        self._is_migrated = False

    def run(self) -> None:
        """Raise NotReady unless the database answers and is migrated."""
        try:
            attempt = self._attempts.join_or_start()
        except RuntimeError as error:  # the process has no more threads
            raise NotReady("database_unavailable") from error
        if attempt is None or not attempt.ended.wait(DATABASE_SECONDS):
            raise NotReady("database_unavailable")
        if isinstance(attempt.error, NotReady):
            raise attempt.error
        if attempt.error is not None:
            # Not always a `django.db.Error`: an option that a driver cannot use is its TypeError.
            raise NotReady("database_unavailable") from attempt.error

    def _query(self) -> None:
        # As this thread's own connection: applied migrations are read by alias.
        alias = write_alias()
        connection = connections[alias] = _copy_with_short_timeouts(connections[alias])
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            # Applied migrations stay applied: files and table are compared until all are.
            self._is_migrated = self._is_migrated or _is_migrated(connection)
        finally:
            connection.close()
        if not self._is_migrated:
            raise NotReady("migrations_pending")


class KeyCheck:
    """A key to verify tokens with has been held at least once, or is set as PEM."""

    def run(self) -> None:
        """Raise NotReady while there was none."""
        if not get_keys_status().held:
            raise NotReady("no_verification_key")


def _copy_with_short_timeouts(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    copy = connection.copy()
    if copy.vendor == "postgresql":
        options = {name: value for name, value in copy.settings_dict["OPTIONS"].items() if name != "pool"}
        # Both are options of the client: a pooler in between never sees them.
        options |= {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": CONNECT_SECONDS * 1000}
        copy.settings_dict["OPTIONS"] = options
    return copy


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


database_check = DatabaseCheck()
READINESS = (database_check, KeyCheck())
