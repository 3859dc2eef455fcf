"""Trouble made inside PostgreSQL itself, for whoever writes a person or an event: there, or at the commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import sql

# Real errors of a real server. The text of each holds what is written, as a real one may.
SETUP: LiteralString = """
CREATE TABLE proof_trouble (moment text NOT NULL, kind text NOT NULL);
CREATE FUNCTION proof_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ordered text;
BEGIN
    SELECT kind INTO ordered FROM proof_trouble WHERE moment = TG_ARGV[0];
    IF ordered = 'die' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(5);
    ELSIF ordered LIKE 'sleep %' THEN
        PERFORM pg_sleep(substr(ordered, 7)::float);
    ELSIF ordered IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = ordered, MESSAGE = 'failing row contains ' || NEW::text;
    END IF;
    RETURN NEW;
END $$;
"""
TABLES = ("accounts_user", "webhooks_webhookevent")
WRITE: LiteralString = """
CREATE TRIGGER proof_write BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION proof_trouble('write')
"""
COMMIT: LiteralString = """
CREATE CONSTRAINT TRIGGER proof_commit AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION proof_trouble('commit')
"""


class Trouble:
    """What goes wrong at every write of a person or an event, until it is over."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection

    def begin(self, kind: str, *, at: str = "write") -> None:
        """From now on fail with this SQLSTATE, `die` (the connection), or `sleep N`: `at` write or commit."""
        self._connection.execute("INSERT INTO proof_trouble VALUES (%s, %s)", [at, kind])

    def end(self) -> None:
        """Let everything go well again."""
        self._connection.execute("DELETE FROM proof_trouble")


@contextmanager
def trouble_in(address: str) -> Iterator[Trouble]:
    """Make the database at this address able to fail."""
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(SETUP)
        for table in TABLES:
            for statement in (WRITE, COMMIT):
                connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
        try:
            yield Trouble(connection)
        finally:
            connection.execute("DROP FUNCTION proof_trouble CASCADE; DROP TABLE proof_trouble")
