"""Faults inside PostgreSQL while a delivery is processed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections


@contextmanager
def trigger(sql: str, *, table: str = "accounts_user", using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run `sql` in the database before every insert or update of the table."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN {sql}; RETURN NEW; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION trouble()"
        )
    try:
        yield
    finally:
        with psycopg.connect(address(using=using), autocommit=True) as other:
            other.execute("DROP FUNCTION trouble CASCADE")


def address(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the connection string of the test database, for connections outside of Django."""
    known = connections[using].get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    return psycopg.conninfo.make_conninfo(**{name: known[name] for name in names if known.get(name)})
