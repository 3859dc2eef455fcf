"""Count what an operation costs: SQL statements, writes, round trips to PostgreSQL, and network calls."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.environment import Environment

# The statements of the counting itself are marked and left out.
MARK = "/* counting */"
STATEMENTS = f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '{MARK}%'"  # noqa: S608
# PostgreSQL assigns an id only to transactions and savepoints that write.
NEXT_TRANSACTION_ID = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Statements (BEGIN and COMMIT included), round trips, transactions that wrote, Python network calls."""

    statements: int
    round_trips: int
    writes: int
    calls: int


class _NetworkCounter:
    """Counts connections and name look-ups that Python makes; libpq's are not seen by the audit hook."""

    def __init__(self) -> None:
        self.calls = 0
        sys.addaudithook(self._count)

    def _count(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.getaddrinfo"}:
            self.calls += 1


_network = _NetworkCounter()


def cost_of(work: Callable[[], object], *, environment: Environment) -> Cost:
    """Run the work in this thread and return its cost. Nothing else may use the server meanwhile."""
    with environment.connect() as connection, _trace() as count_round_trips:

        def query(statement: str) -> int:
            row = connection.execute(f"{MARK} {statement}".encode()).fetchone()
            return int(str(row[0])) if row else 0

        transactions, calls = query(NEXT_TRANSACTION_ID), _network.calls
        query("SELECT 1 FROM pg_stat_statements_reset()")
        work()
        return Cost(
            statements=query(STATEMENTS),
            round_trips=count_round_trips(),
            writes=query(NEXT_TRANSACTION_ID) - transactions,
            calls=_network.calls - calls,
        )


@contextmanager
def _trace() -> Iterator[Callable[[], int]]:
    """Trace the messages of Django's connection with libpq; yield a function that counts the round trips."""
    from django.db import connection  # noqa: PLC0415 - after the settings are ready

    connection.close()  # so that it does not reach its maximum age meanwhile
    connection.ensure_connection()
    libpq_connection = connection.connection.pgconn
    with tempfile.TemporaryFile() as trace:

        def count_round_trips() -> int:
            libpq_connection.untrace()  # flushes the trace
            trace.seek(0)
            return sum(b"ReadyForQuery" in line for line in trace)

        libpq_connection.trace(trace.fileno())
        yield count_round_trips
