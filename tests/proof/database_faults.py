"""Faults injected into PostgreSQL: every write of a user or an event fails, at the write or at the commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.proof.tables import LAST_TABLE, USER_TABLES

# Real errors of a real server. The text of each contains the row, as that of a real one may.
SETUP: LiteralString = """
CREATE TABLE proof_fault (moment text NOT NULL, kind text NOT NULL);
CREATE FUNCTION proof_fault() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fault text;
BEGIN
    SELECT kind INTO fault FROM proof_fault WHERE moment = TG_ARGV[0];
    IF fault = 'die' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(5);
    ELSIF fault LIKE 'sleep %' THEN
        PERFORM pg_sleep(substr(fault, 7)::float);
    ELSIF fault IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = fault, MESSAGE = 'failing row contains ' || NEW::text;
    END IF;
    RETURN NEW;
END $$;
"""
LEDGER = "webhooks_webhookevent"
WRITE: LiteralString = """
CREATE TRIGGER proof_write BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION proof_fault('write')
"""
COMMIT: LiteralString = """
CREATE CONSTRAINT TRIGGER proof_commit AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION proof_fault('commit')
"""


class FaultInjector:
    """The fault of every write of a user or an event, between `begin` and `end`."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def begin(self, kind: str, *, at: str = "write") -> None:
        """Fail from now on with this SQLSTATE, `die` (the connection) or `sleep N`, `at` write or commit."""
        self._connection.execute("INSERT INTO proof_fault VALUES (%s, %s)", [at, kind])

    def end(self) -> None:
        """Stop failing."""
        self._connection.execute("DELETE FROM proof_fault")


@contextmanager
def inject_faults(address: str) -> Iterator[FaultInjector]:
    """Install the triggers in the database at this address, and remove them at the end."""
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(SETUP)
        # At the last row of a user, so that the earlier ones are written already.
        for statement, tables in ((WRITE, (LAST_TABLE, LEDGER)), (COMMIT, (*USER_TABLES, LEDGER))):
            for table in tables:
                connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
        try:
            yield FaultInjector(connection)
        finally:
            connection.execute("DROP FUNCTION proof_fault CASCADE; DROP TABLE proof_fault")
