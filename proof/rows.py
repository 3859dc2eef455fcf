"""The rows of a database that belongs to other processes, held against what Clerk says."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from devclerk.fixtures import LocalClerk
from proof.site import wait_until
from proof.watch import truth

LONG_AGO = 1_735_689_600_000  # ms; the people who are there at the start changed before, the others after
COLUMNS = ("email", "email_verified", "first_name", "last_name", "image_url", "banned")


def query(address: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the database at this address."""
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def people(address: str) -> dict[str, dict[str, Any]]:
    """Give what each live row of a person from Clerk says; raise AssertionError if somebody has two."""
    rows = query(
        address,
        f"SELECT clerk_id, {', '.join(COLUMNS)} FROM accounts_user "  # noqa: S608 - our own names
        "WHERE deleted_at IS NULL AND clerk_id IS NOT NULL",
    )
    found = {clerk_id: dict(zip(COLUMNS, values, strict=True)) for clerk_id, *values in rows}
    assert len(found) == len(rows), "somebody has several live rows"
    return found


def differences(address: str, clerk: LocalClerk) -> dict[str, object]:
    """Give the rows that are not what Clerk says, and nothing for people who changed and have no row."""
    rows = people(address)
    known = {person.id: person for person in clerk.people}
    wrong: dict[str, object] = {
        clerk_id: row
        for clerk_id, row in rows.items()
        if clerk_id not in known or truth(known[clerk_id]) != row
    }
    changed = {person.id for person in known.values() if person.updated_at > LONG_AGO}
    return wrong | dict.fromkeys(changed - set(rows))


def await_truth(address: str, clerk: LocalClerk, *, seconds: float = 60) -> None:
    """Wait until every row is what Clerk says; raise AssertionError if that never comes."""
    wait_until(
        lambda: not clerk.emulator.deliveries._queue, seconds=seconds, what="the delivery of every webhook"
    )
    deadline = time.monotonic() + 20  # one may still be on its way
    while found := differences(address, clerk):
        assert time.monotonic() < deadline, (
            f"{len(found)} rows are not the truth: {dict(list(found.items())[:3])}"
        )
        time.sleep(0.1)
