"""`manage.py migrate` that never makes requests queue behind a migration that waits for a lock.

Note [A migration behind a dump]
ALTER TABLE excludes readers. While it waits for a dump or another long transaction, each later statement on
the table waits behind it, and so does every request. So a migration waits for a lock `LOCK_SECONDS` at most.
Then it is rolled back, the requests continue, and it is tried again. The limit ends with the transaction of
the migration, so it works behind a pooler. A migration with `atomic = False` has no limit: CREATE INDEX
CONCURRENTLY excludes neither readers nor writers, and leaves an invalid index behind if it is interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.schema import DatabaseSchemaEditor

from accounts.db import failure_reason

# Longer than PostgreSQL's `deadlock_timeout` (1 s), after which it ends an autovacuum that holds the lock.
LOCK_SECONDS = 2
PAUSE_SECONDS = 5.0
GIVE_UP_SECONDS = 900.0

WAITING = (
    "Another session holds a lock that this migration needs (a dump, a long transaction). "
    "Requests continue. The next attempt is in {seconds:g} s."
)
GIVEN_UP = (
    "The migration did not get its lock: another session held it for {minutes:g} minutes. The migrations "
    "before it are applied. docs/operations.md (Upgrades) has the query that finds that session. Run migrate "
    "again after it has ended."
)


class Command(migrate.Command):
    """Django's command, with a limit for each wait for a lock, and further attempts."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; raise CommandError if a lock is not released within `GIVE_UP_SECONDS`."""

        def attempt() -> None:
            super(Command, self).handle(*args, **options)

        with short_lock_timeout(connections[options["database"]]):
            repeat_while_locked(attempt, report=self.stderr.write)


def repeat_while_locked(
    attempt: Callable[[], None],
    *,
    report: Callable[[str], object],
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Call `attempt` until it does not fail because of a lock; report each further attempt.

    Raises CommandError after `GIVE_UP_SECONDS`, and whatever else `attempt` raises.
    """
    give_up_at = now() + GIVE_UP_SECONDS
    while True:
        try:
            return attempt()
        except OperationalError as error:
            if failure_reason(error) != "lock_timeout":
                raise
        if now() >= give_up_at:
            raise CommandError(GIVEN_UP.format(minutes=GIVE_UP_SECONDS / 60))
        report(WAITING.format(seconds=PAUSE_SECONDS))
        sleep(PAUSE_SECONDS)


class ShortLockSchemaEditor(DatabaseSchemaEditor):
    """Django's schema editor; inside a transaction it limits each wait for a lock."""

    def __enter__(self) -> Self:
        super().__enter__()
        if self.atomic_migration:
            self.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        return self


@contextmanager
def short_lock_timeout(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Limit each wait for a lock inside atomic migrations: Note [A migration behind a dump]."""
    if connection.vendor != "postgresql":
        yield
        return
    editor, connection.SchemaEditorClass = connection.SchemaEditorClass, ShortLockSchemaEditor
    try:
        yield
    finally:
        connection.SchemaEditorClass = editor
