"""The limit on what one request waits for the database, and the breaker that spares requests the wait.

Note [A database that does not answer]
A PostgreSQL that is stopped (SIGSTOP, a frozen virtual machine, a stalled disk) still acknowledges packets,
because its kernel does. So neither `statement_timeout`, which the server applies, nor the timeouts of TCP end
the wait. The same holds for a table that a migration locks: the server answers, but not this statement. Only
the client can end such a wait. One thread per process shuts the sockets of the connections that are overdue:
the request that waits gets OperationalError, as if the server had closed the connection.

While a connection is opened, there is no socket yet that could be shut. The limit is then libpq's
`connect_timeout`, or the timeout of the pool.

Note [The breaker]
Without a breaker every request waits for the whole limit, all threads of a process wait, and requests that
need no database wait behind them. So the first request whose deadline passes opens the breaker of its kind.
Requests are then refused at once, except for one trial per second with a shorter limit. The first success
closes the breaker. Waiting for a connection of a busy pool does not open it: the database answers.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

# The limit that is promised is six seconds; the rest is for the answer. Longer than the timeouts of locks and
# of connecting, which name their cause.
DEADLINE_SECONDS = 5.5
# A trial that needs longer is no success. Two trials at most run at a time.
TRIAL_SECONDS = 2.0
SECONDS_BETWEEN_TRIALS = 1.0
# libpq knows no shorter `connect_timeout`.
MIN_CONNECT_SECONDS = 2
# How late the watchdog may be.
TICK_SECONDS = 0.1
# libpq's status of a connection that waits for the result of a statement.
ACTIVE = 1

logger = logging.getLogger(__name__)
_current = threading.local()


class DeadlinePassed(OperationalError):
    """The request may not wait for the database any more, or not at all because the breaker is open."""


class Breaker:
    """Refuses requests of one kind while the database does not answer them: Note [The breaker].

    Thread-safe; `clock` is monotonic, in seconds.
    """

    def __init__(self, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._lock = threading.Lock()
        self._next_trial_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Return whether requests are refused."""
        return self._next_trial_at is not None

    def admit(self) -> float:
        """Return for how many seconds a request may wait for the database; 0 if it is refused."""
        if self._next_trial_at is None:
            return DEADLINE_SECONDS
        with self._lock:
            if self._next_trial_at is None:
                return DEADLINE_SECONDS
            now = self._clock()
            if now < self._next_trial_at:
                return 0
            self._next_trial_at = now + SECONDS_BETWEEN_TRIALS
            return TRIAL_SECONDS

    def open(self) -> None:
        """Refuse requests from now on, except for trials."""
        with self._lock:
            if self._next_trial_at is not None:
                return
            self._next_trial_at = self._clock() + SECONDS_BETWEEN_TRIALS
        logger.error("The database does not answer in time: refusing", extra={"requests": self._name})

    def close(self) -> None:
        """Admit all requests."""
        with self._lock:
            was_open, self._next_trial_at = self.is_open, None
        if was_open:
            logger.warning("The database answers again", extra={"requests": self._name})


class Deadline:
    """The time that one request may wait for the write database. It starts with the first use of it."""

    def __init__(self, breaker: Breaker | None, *, seconds: float | None = None) -> None:
        self._breaker, self._seconds = breaker, seconds
        self._lock = threading.Lock()
        self._connection: BaseDatabaseWrapper | None = None
        self._has_passed = self._is_answered = False
        self.ends_at = 0.0

    def start(self, connection: BaseDatabaseWrapper) -> None:
        """Limit the connection from the first call on; raise DeadlinePassed if the request may not wait."""
        if self._connection is None:
            own = self._seconds or DEADLINE_SECONDS
            seconds = own if self._breaker is None else self._breaker.admit()
            self._connection, self.ends_at = connection, time.monotonic() + seconds
            if connection.vendor == "postgresql":
                connection.get_new_connection = self._get_new_connection  # type: ignore[method-assign]
                if seconds:
                    _watchdog.add(self)
        if time.monotonic() >= self.ends_at:
            raise DeadlinePassed

    def record_answer(self) -> None:
        """Record that the database has answered: a success, unless the deadline passes later."""
        self._is_answered = True

    def cut(self) -> None:
        """End the wait for a statement. Called in the thread of the watchdog, again and again."""
        with self._lock:
            if self._connection is not None and _shut(self._connection.connection):
                self._has_passed = True

    def end(self) -> None:
        """Stop limiting the connection, and draw the conclusion for the next requests."""
        if self._connection is None:
            return
        _watchdog.remove(self)
        with self._lock:
            connection, self._connection = self._connection, None
        vars(connection).pop("get_new_connection", None)
        if self._has_passed:
            if not connection.in_atomic_block:
                with suppress(Error):
                    connection.close()
            if self._breaker is not None:
                self._breaker.open()
        elif self._is_answered and self._breaker is not None and self._breaker.is_open:
            self._breaker.close()

    def _get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a connection as Django's method of this name does, within what remains of the time.

        Django opens connections by itself too, for example at the end of a transaction that failed.
        """
        connection = self._connection
        remaining = self.ends_at - time.monotonic()
        if connection is None or remaining < MIN_CONNECT_SECONDS - 0.5:
            raise DeadlinePassed
        pool = getattr(connection, "pool", None)
        if pool is not None:
            pool.open()
            return pool.getconn(timeout=min(remaining, pool.timeout))
        limit = _connect_seconds(conn_params, seconds=remaining)
        begin = time.monotonic()
        try:
            return type(connection).get_new_connection(connection, {**conn_params, "connect_timeout": limit})
        except Exception:
            if time.monotonic() - begin > limit - 0.2:
                self._has_passed = True
            raise


class _Watchdog:
    """One thread per process that cuts what is overdue; it starts with the first deadline, after any fork."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._wake = threading.Condition(threading.Lock())
        self._deadlines: set[Deadline] = set()
        self._has_thread = self._is_idle = False

    def add(self, deadline: Deadline) -> None:
        with self._wake:
            self._deadlines.add(deadline)
            if not self._has_thread:
                threading.Thread(target=self._run, name="database-deadlines", daemon=True).start()
                self._has_thread = True
            elif self._is_idle:
                self._wake.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._wake:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._deadlines:
                    self._is_idle = True
                    self._wake.wait()
                self._is_idle = False
                deadlines = list(self._deadlines)
            now = time.monotonic()
            for deadline in deadlines:
                if deadline.ends_at <= now:
                    deadline.cut()
            time.sleep(TICK_SECONDS)


_watchdog = _Watchdog()


@contextmanager
def database_deadline(breaker: Breaker | None = None) -> Iterator[None]:
    """Limit what the block waits for the write database, all its statements and retries together.

    An inner block shares the deadline of the outer one. A statement is limited if it runs within
    `accounts.db.retry_on_dead_connection` or `accounts.db.locked_transaction`, or after one of them.
    """
    if current_deadline() is not None:
        yield
        return
    _current.deadline = Deadline(breaker)
    try:
        yield
    finally:
        deadline, _current.deadline = _current.deadline, None
        deadline.end()


def replace_deadline(*, seconds: float) -> None:
    """End the deadline of the block, if there is one, and limit what follows in the block to `seconds`.

    The breaker learns how the first part went, and nothing about what follows.
    """
    if (deadline := current_deadline()) is not None:
        deadline.end()
        _current.deadline = Deadline(None, seconds=seconds)


def current_deadline() -> Deadline | None:
    """Return the deadline of the block that this thread is in; None in commands and in views."""
    deadline: Deadline | None = getattr(_current, "deadline", None)
    return deadline


def _shut(raw: Any) -> bool:
    """Shut the socket of a psycopg connection that waits for a result; return whether there was one."""
    try:
        if raw.info.transaction_status != ACTIVE:
            return False
        number = raw.fileno()
        with socket.socket(fileno=os.dup(number)) as copy:
            # The thread of the request may have closed the connection meanwhile, and the number may then name
            # another socket: only while the connection is open, the copy is certainly its socket.
            if raw.closed or raw.fileno() != number:
                return False
            copy.shutdown(socket.SHUT_RDWR)
    except Exception:  # noqa: BLE001 - no connection, an SQLite connection, or one that is closed at this moment
        return False
    return True


def _connect_seconds(conn_params: dict[str, Any], *, seconds: float) -> int:
    """Return the `connect_timeout` for each host of the address, which are tried one after the other."""
    hosts = str(conn_params.get("host", "")).count(",") + 1
    limit = max(MIN_CONNECT_SECONDS, int(seconds / hosts))
    configured = int(conn_params.get("connect_timeout") or 0)
    return min(limit, configured) if configured > 0 else limit
