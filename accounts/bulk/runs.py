"""Bulk runs: one of a kind at a time, and the row that stores its progress."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from django.db import Error
from django.db.models import Q

from accounts.db import write_connection
from accounts.models import SyncRun

Clock = Callable[[], datetime]
LOCK_SPACE = 0x636C6B  # for advisory locks of two numbers; the locks on Clerk ids have one number


class AlreadyRunning(Exception):
    """Another process holds the lock of this kind of run."""


@contextmanager
def single_run(kind: str) -> Iterator[None]:
    """Hold the lock of this kind of run. Raises AlreadyRunning if another process holds it.

    Note [One run at a time]
    The lock must end with the process, even after `kill -9`, so it is not a row. It must also hold behind
    PgBouncer in transaction mode. There an advisory lock of a session stays on a server connection, which the
    next client gets. So the lock belongs to a transaction, which keeps its server connection. It has a
    separate connection, so that the server releases the lock when the process ends. The transaction reads no
    table: it has no snapshot and no transaction id, and does not hold back vacuum. On SQLite, which has one
    machine, a file lock does the same. If the lock is lost anyway, two runs only cost time, because pages are
    idempotent.
    """
    is_postgresql = write_connection().vendor == "postgresql"
    with _hold_postgresql_lock(kind) if is_postgresql else _hold_file_lock(kind):
        yield


@contextmanager
def _hold_postgresql_lock(kind: str) -> Iterator[None]:
    with closing(write_connection().copy()) as connection:
        connection.ensure_connection()
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            # The transaction is idle by design, as long as the run takes.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, kind])
            if cursor.fetchone() != (True,):
                raise AlreadyRunning(kind)
        try:
            yield
        finally:
            # The server notices a closed connection late; until then the next run would be refused.
            with suppress(Error):
                connection.rollback()


@contextmanager
def _hold_file_lock(kind: str) -> Iterator[None]:
    database = Path(write_connection().settings_dict["NAME"])
    with database.with_name(f"{database.name}.{kind}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(kind) from None
        yield


def get_unfinished_run(kind: str) -> SyncRun | None:
    """Return the newest run if it did not finish and has a cursor, else None. The caller holds the lock."""
    samples = Q(status=SyncRun.Status.INTERRUPTED, cursor="")
    newest = SyncRun.objects.filter(kind=kind).exclude(samples).order_by("-started_at", "-pk").first()
    if newest is None or newest.status == SyncRun.Status.DONE or not newest.cursor:
        return None
    return newest


@contextmanager
def record_run(run: SyncRun, *, clock: Clock) -> Iterator[None]:
    """Save the run as running, and at the end of the block as done, failed or interrupted.

    The caller holds the lock, so other runs of this kind that are stored as running were killed: they become
    interrupted. Raises what the block raises.
    """
    run.status, run.error, run.finished_at = SyncRun.Status.RUNNING, "", None
    run.save()
    killed = SyncRun.objects.filter(kind=run.kind, status=SyncRun.Status.RUNNING).exclude(pk=run.pk)
    killed.update(status=SyncRun.Status.INTERRUPTED, finished_at=clock())
    try:
        yield
    except BaseException as error:
        is_stopped = isinstance(error, KeyboardInterrupt)
        run.status = SyncRun.Status.INTERRUPTED if is_stopped else SyncRun.Status.FAILED
        run.error = type(error).__name__
        # If the database has failed, the row stays "running", and the next run resumes it.
        with suppress(Error):
            _finish(run, at=clock())
        raise
    if run.status == SyncRun.Status.RUNNING:
        run.status = SyncRun.Status.DONE
    _finish(run, at=clock())


def _finish(run: SyncRun, *, at: datetime) -> None:
    run.finished_at = at
    run.save()


def save_progress(run: SyncRun, *, counts: Mapping[str, int], cursor: str | None) -> None:
    """Save the counts and the cursor, which is the last user of the last committed page."""
    run.counts = dict(counts)
    run.cursor = cursor or run.cursor
    run.save(update_fields=["counts", "cursor"])
