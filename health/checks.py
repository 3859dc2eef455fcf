"""What must hold before requests are sent here: small checks that return nothing or raise `NotReady`.

None of them asks Clerk.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from accounts.conf import get_key_source
from accounts.db import write_alias

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

DATABASE_SECONDS = 1.0
# How long the attempt itself may live when nobody waits for it any more: the least that libpq takes.
CONNECT_SECONDS = 2


class NotReady(Exception):
    """A check failed; `status` is the one word that strangers may read."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class DatabaseCheck:
    """The database answers within a second and all migrations are applied.

    Note [A probe that cannot hang]
    A host that vanished answers nothing at all: no timeout of a statement helps, and a connection that is
    already open may wait for a quarter of an hour. So the question is asked on a connection of its own, in a
    thread that nobody has to wait for; while one such thread is stuck, no second one is started and every
    probe says no.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempt: Future[None] | None = None
        self._is_migrated = False

    def run(self) -> None:
        """Raise `NotReady` unless the database is well."""
        attempt = self._join_or_start()
        try:
            trouble = attempt.exception(timeout=DATABASE_SECONDS)
        except TimeoutError as error:
            trouble = error
        if isinstance(trouble, NotReady):
            raise trouble
        if trouble is not None:
            # Not always a `django.db.Error`: an option that a driver cannot use is its TypeError.
            raise NotReady("database_unavailable") from trouble

    def _join_or_start(self) -> Future[None]:
        with self._lock:
            if self._attempt is None or self._attempt.done():
                self._attempt = Future()
                threading.Thread(target=self._settle, args=[self._attempt], daemon=True).start()
            return self._attempt

    def _settle(self, attempt: Future[None]) -> None:
        try:
            self._ask()
        except Exception as error:  # noqa: BLE001 - whoever waits for the attempt raises it
            attempt.set_exception(error)
        else:
            attempt.set_result(None)

    def _ask(self) -> None:
        # Replaces this thread's own connection: the applied migrations are read by alias.
        alias = write_alias()
        connection = connections[alias] = _impatient_copy(connections[alias])
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            # Applied migrations stay applied: files and ledger are compared until the answer is yes.
            self._is_migrated = self._is_migrated or _is_migrated(connection)
        finally:
            connection.close()
        if not self._is_migrated:
            raise NotReady("migrations_pending")


class KeyCheck:
    """A key to verify tokens with has been held at least once, or is set as PEM."""

    def run(self) -> None:
        """Raise `NotReady` while there was none."""
        if not get_key_source().status().held:
            raise NotReady("no_verification_key")


def _impatient_copy(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    copy = connection.copy()
    if copy.vendor == "postgresql":
        options = {name: value for name, value in copy.settings_dict["OPTIONS"].items() if name != "pool"}
        # Both are the client's own: a pooler in between never sees them.
        options |= {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": CONNECT_SECONDS * 1000}
        copy.settings_dict["OPTIONS"] = options
    return copy


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


database_check = DatabaseCheck()
READINESS = (database_check, KeyCheck())
