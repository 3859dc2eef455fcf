"""What some work cost: statements and writes at the server, round trips on the wire, calls to the network."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.ground import Ground

# The statements of the counting itself are marked, and left out.
MARK = "/* counting */"
STATEMENTS = f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '{MARK}%'"  # noqa: S608
# Only a transaction that writes is given a number; so is a savepoint in it.
LAST_WRITER = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Statements (BEGIN and COMMIT too), round trips, transactions that wrote, Python's own connections."""

    statements: int
    round_trips: int
    writes: int
    calls: int


class _Network:
    """Counts the connections and look-ups of names of this process; libpq's own are not Python's."""

    def __init__(self) -> None:
        self.calls = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.getaddrinfo"}:
            self.calls += 1


_network = _Network()


def cost_of(work: Callable[[], object], *, ground: Ground) -> Cost:
    """Do the work in this thread and count. Nothing else may use the server meanwhile."""
    with ground.connect() as beside, _traced() as round_trips:

        def ask(question: str) -> int:
            row = beside.execute(f"{MARK} {question}".encode()).fetchone()
            return int(str(row[0])) if row else 0

        writers, calls = ask(LAST_WRITER), _network.calls
        ask("SELECT 1 FROM pg_stat_statements_reset()")
        work()
        return Cost(
            statements=ask(STATEMENTS),
            round_trips=round_trips(),
            writes=ask(LAST_WRITER) - writers,
            calls=_network.calls - calls,
        )


@contextmanager
def _traced() -> Iterator[Callable[[], int]]:
    """Let libpq write down the messages of Django's connection; give what counts the server's answers."""
    from django.db import connection  # noqa: PLC0415 - after the settings are ready

    connection.close()  # so that it will not reach its age meanwhile
    connection.ensure_connection()
    wire = connection.connection.pgconn
    with tempfile.TemporaryFile() as trace:

        def answers() -> int:
            wire.untrace()  # which writes down the rest
            trace.seek(0)
            return sum(b"ReadyForQuery" in line for line in trace)

        wire.trace(trace.fileno())
        yield answers
