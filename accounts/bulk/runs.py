"""Bulk runs: one of a kind at a time, and the row that says how far it came."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from django.db import DatabaseError, Error
from django.db.models import Q

from accounts.db import write_connection
from accounts.models import SyncRun

Clock = Callable[[], datetime]
LOCK_SPACE = 0x636C6B  # the two-number advisory locks; people's locks are of the one-number kind


class AlreadyRunning(Exception):
    """Another process does the same at this moment."""


@contextmanager
def single_run(kind: str) -> Iterator[None]:
    """Hold the lock of this kind of run, or raise `AlreadyRunning`.

    Note [One run at a time]
    The lock must end with the process, `kill -9` included, so it is no row that a dead run would leave
    behind. It must hold behind PgBouncer in transaction mode, where a session's advisory lock stays with a
    server connection that the next client gets: so it belongs to a transaction, which pins its server
    connection, on a connection of its own, which the server notices when it breaks. That transaction reads no
    table: it holds no snapshot and gets no number, and keeps vacuum from nothing. SQLite has one machine, and
    there the system's file lock does the same. Should the lock be lost all the same, two runs cost time and
    nothing else: pages are idempotent.
    """
    vendor = write_connection().vendor
    with _postgresql_lock(kind) if vendor == "postgresql" else _file_lock(kind):
        yield


@contextmanager
def _postgresql_lock(kind: str) -> Iterator[None]:
    with closing(write_connection().copy()) as connection:
        connection.ensure_connection()
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            # The transaction is idle on purpose, for as long as the run takes.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_SPACE, kind])
            if cursor.fetchone() != (True,):
                raise AlreadyRunning(kind)
        try:
            yield
        finally:
            # A server notices a closed connection some time later: until then the next run would be refused.
            with suppress(Error):
                connection.rollback()


@contextmanager
def _file_lock(kind: str) -> Iterator[None]:
    database = Path(write_connection().settings_dict["NAME"])
    with database.with_name(f"{database.name}.{kind}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(kind) from None
        yield


def get_unfinished_run(kind: str) -> SyncRun | None:
    """Return the newest run if it stopped on the way and left a cursor. Only for the holder of the lock."""
    samples = Q(status=SyncRun.Status.INTERRUPTED, cursor="")
    newest = SyncRun.objects.filter(kind=kind).exclude(samples).order_by("-started_at", "-pk").first()
    if newest is None or newest.status == SyncRun.Status.DONE or not newest.cursor:
        return None
    return newest


@contextmanager
def record_run(run: SyncRun, *, clock: Clock) -> Iterator[SyncRun]:
    """Keep the run's row: running now, then done, failed or interrupted, as the block ends.

    Only for the holder of the lock: whatever else of this kind still says running was killed.
    """
    run.status, run.error, run.finished_at = SyncRun.Status.RUNNING, "", None
    run.save()
    killed = SyncRun.objects.filter(kind=run.kind, status=SyncRun.Status.RUNNING).exclude(pk=run.pk)
    killed.update(status=SyncRun.Status.INTERRUPTED, finished_at=clock())
    try:
        yield run
    except BaseException as error:
        is_stopped = isinstance(error, KeyboardInterrupt)
        run.status = SyncRun.Status.INTERRUPTED if is_stopped else SyncRun.Status.FAILED
        run.error = type(error).__name__
        with suppress(
            DatabaseError
        ):  # it may be what failed; the row then says running, and is resumed all the same
            _finish(run, at=clock())
        raise
    if run.status == SyncRun.Status.RUNNING:
        run.status = SyncRun.Status.DONE
    _finish(run, at=clock())


def _finish(run: SyncRun, *, at: datetime) -> None:
    run.finished_at = at
    run.save()


def save_progress(run: SyncRun, *, counts: Mapping[str, int], cursor: str | None) -> None:
    """Write down what is done; `cursor` is the last person of a page that is committed."""
    run.counts = dict(counts)
    run.cursor = cursor or run.cursor
    run.save(update_fields=["counts", "cursor"])
