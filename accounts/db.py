"""The write database: its connection, the locks on Clerk ids, and the codes of its failures.

Note [One database for decisions]
A project may have a router that reads from a replica. A replica may lag behind, and a decision that rests on
old rows lets a deleted user in or writes a row twice. A queryset asks the router for a database to read even
inside a transaction on the write database. So the models that decide are subclasses of `WriteDatabaseModel`,
their managers return a `WriteDatabaseQuerySet`, and both use `router.db_for_write` for reads as well. An
alias that the caller names takes precedence.

Note [The lock]
All code that creates, syncs, deletes, restores or links a user first takes a lock on the Clerk id: on
PostgreSQL an advisory lock that ends with the transaction, on SQLite the write lock that BEGIN IMMEDIATE has
taken. The partial unique constraint alone would let a first request overtake a deletion and create the user
again. READ COMMITTED makes the SELECT after the lock see what the previous holder wrote; a system check
refuses any other level.

Note [The pool after a restart of the server]
A pool lends connections without a check, which would double the statements of a warm request. After a
restart of the server all its connections are dead, and after a fail-over all of them lead to the old server.
Work that runs once more would be lent the next of them. So the first failure drains the pool: it closes and
replaces idle connections at once, and lent ones when they are returned. Work that was lent its connection
before that needs no second drain.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.db import DatabaseError, Error, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.clerk.unexpected import log_unexpected
from accounts.deadline import current_deadline, replace_deadline

T = TypeVar("T")
M = TypeVar("M", bound=models.Model)
V = TypeVar("V", bound=Callable[..., object])

# A longer wait is a fault, not contention.
LOCK_TIMEOUT_MS = 5000
# SQLSTATEs
LOCK_NOT_AVAILABLE = "55P03"
READ_ONLY_TRANSACTION = "25006"

logger = logging.getLogger(__name__)
_drain_lock = threading.Lock()
_drained_at: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


class WriteDatabaseQuerySet(models.QuerySet[M]):
    """A queryset that reads from the write database: Note [One database for decisions].

    The alias is resolved when the statement runs. A queryset made at import asks no router, and one that is
    part of another query does not bind that query to a database.
    """

    @property
    def db(self) -> str:
        """Return the alias that the caller named, else the one that the router names for writes."""
        named: str | None = self._db  # type: ignore[attr-defined] # Django's own, which its stubs leave out
        return named or router.db_for_write(self.model, **self._hints)  # type: ignore[attr-defined]


class WriteDatabaseModel(models.Model):
    """A model whose rows decide: its instances reload from the write database.

    Django reloads, and loads a deferred column, through the base manager, which asks the read router.
    """

    class Meta:
        abstract = True

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """Reload as Django does, from the write database unless the caller names another one."""
        if using is None and from_queryset is None:
            using = router.db_for_write(type(self), instance=self)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)


class UserNotCreated(DatabaseError):
    """The project's user could not be created: its code failed, or its table refused the user.

    It is a failed write like any other, so that each caller handles it as one.
    """


def write_alias() -> str:
    """Return the alias of the database that users are written to; all models that decide share it."""
    return router.db_for_write(get_user_model())


def write_connection() -> BaseDatabaseWrapper:
    """Return this thread's connection to the write database."""
    return connections[write_alias()]


def outside_atomic_requests(view: V) -> V:
    """Exempt a view from ATOMIC_REQUESTS on every database: it opens its own short transactions, or none."""
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view


def after_commit(callback: Callable[[], object]) -> None:
    """Call `callback` after the commit of the write database's transaction, or at once without one.

    What it raises is logged by its class. Django's `robust=True` would log the text too, and raise for a
    `functools.partial`, which has no `__qualname__`.
    """

    def call() -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - the rows are committed: this is no failure of the caller
            log_unexpected(logger, "Unexpected error after a commit", error=error)

    if write_connection().in_atomic_block:
        transaction.on_commit(call, using=write_alias())
    else:
        call()  # Django's `on_commit` would connect first, to a database that may be down


def failure_reason(error: Error) -> str:
    """Return the code of a database failure; the text of the error may contain values of the row."""
    if isinstance(error, UserNotCreated):
        return "create_user_failed"
    return "lock_timeout" if _sqlstate(error) == LOCK_NOT_AVAILABLE else "database_error"


def retry_on_dead_connection(work: Callable[[], T]) -> T:
    """Run `work`; if the write connection was dead or read-only, replace it and run `work` once more.

    Read-only is the connection to a server that a fail-over has made a standby: the name may lead to the new
    primary by now. Inside a transaction it never retries: earlier statements of the transaction are lost.
    Raises what `work` raises, django.db.Error without a connection, and DeadlinePassed at the end of the
    block's `database_deadline`.
    """
    connection = write_connection()
    _start_deadline(connection)
    if connection.in_atomic_block:
        return _run(work)
    # A pool lends a connection per request, perhaps a dead one; `work` may have returned it when it fails.
    connection.ensure_connection()
    held, started_at = connection.connection, time.monotonic()
    try:
        return _run(work)
    except Error as error:
        if not (getattr(held, "closed", False) or _sqlstate(error) == READ_ONLY_TRANSACTION):
            raise
    # A connection that the deadline has cut says nothing about the server: this raises DeadlinePassed.
    _start_deadline(connection)
    discard_connection(connection, started_at=started_at)
    return _run(work)


def discard_connection(connection: BaseDatabaseWrapper, *, started_at: float) -> None:
    """Close this thread's connection, so that the next statement uses a new one.

    `started_at` is the monotonic time at which the work that failed had its connection. With a pool, its idle
    connections are closed too: Note [The pool after a restart of the server].
    """
    pool = getattr(connection, "pool", None)
    if pool is not None:
        with _drain_lock:
            if _drained_at.get(pool, 0.0) <= started_at:
                pool.drain()
                _drained_at[pool] = time.monotonic()
    connection.close()


@contextmanager
def locked_transaction(*clerk_ids: str) -> Iterator[None]:
    """Open a short transaction, or join the caller's without a savepoint, and lock the Clerk ids in it.

    The locks last until the transaction ends and are taken in sorted order: Note [The lock]. Raises
    OperationalError if a lock is not free within `LOCK_TIMEOUT_MS`.
    """
    start_deadline()
    with transaction.atomic(using=write_alias(), savepoint=False):
        connection = write_connection()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(locking_query(*clerk_ids))
        yield


def locking_query(*clerk_ids: str) -> str:
    """Return a SELECT of one row that locks the Clerk ids, on PostgreSQL: Note [The lock].

    It may be a subquery, so that a statement takes the locks before it does its own work and no other round
    trip is needed. What that statement reads may be older than the locks. The timeout applies to the rest of
    the transaction too.
    """
    keys = sorted({lock_key(clerk_id) for clerk_id in clerk_ids})
    return (
        "SELECT count(pg_advisory_xact_lock(key)) "  # noqa: S608 - integers
        f"FROM set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true) "
        f"LEFT JOIN unnest(ARRAY{keys}::bigint[]) AS key ON true"
    )


@contextmanager
def savepoint_in_view() -> Iterator[None]:
    """Open a savepoint if a transaction is open already, as ATOMIC_REQUESTS opens one for each view.

    A failure then does not break the transaction of the view, and the view's own statements do not get the
    timeout of the locks on Clerk ids.
    """
    connection = write_connection()
    if not connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using=write_alias()):
        yield
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


def start_deadline() -> None:
    """Apply the deadline of the block, if there is one: Note [A database that does not answer].

    Connects to no database. Raises DeadlinePassed at its end, and while the breaker of the block is open.
    """
    _start_deadline(write_connection())


def restart_deadline(*, seconds: float) -> None:
    """Limit the rest of the block to `seconds` from now, without its breaker, if it has a deadline."""
    replace_deadline(seconds=seconds)
    start_deadline()


def _start_deadline(connection: BaseDatabaseWrapper) -> None:
    deadline = current_deadline()
    if deadline is not None:
        deadline.start(connection)


def _run(work: Callable[[], T]) -> T:
    result = work()
    deadline = current_deadline()
    if deadline is not None:
        deadline.record_answer()
    return result


def _sqlstate(error: Error) -> str | None:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg, psycopg2


def lock_key(clerk_id: str) -> int:
    """Return the key of the advisory lock of a Clerk id."""
    return int.from_bytes(blake2b(clerk_id.encode(), digest_size=8).digest(), signed=True)
