"""The rows in the database of other processes, compared with the users in Clerk."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import psycopg

from devclerk.fixtures import LocalClerk
from tests.proof.invariants import expected_values
from tests.proof.site import wait_until
from tests.proof.tables import IDENTITY_TABLE, find_broken_rules

# Users that exist at the start of the emulator were changed before this time, all others after it.
START_MILLISECONDS = 1_735_689_600_000
COLUMNS = ("email", "email_verified", "first_name", "last_name", "image_url", "banned")


def query(address: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement in the database at this address and return the rows."""
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def live_users(address: str) -> dict[str, dict[str, Any]]:
    """Return the values of each live row by Clerk id.

    Raises AssertionError if a user has two live rows, or if the rows of a user do not fit together.
    """
    broken = find_broken_rules(partial(query, address))
    assert not broken, f"{len(broken)} rows do not fit together: {broken[:3]}"
    rows = query(
        address,
        f"SELECT clerk_id, {', '.join(COLUMNS)} FROM {IDENTITY_TABLE} "  # noqa: S608 - constant names
        "WHERE deleted_at IS NULL AND clerk_id IS NOT NULL",
    )
    found = {clerk_id: dict(zip(COLUMNS, values, strict=True)) for clerk_id, *values in rows}
    assert len(found) == len(rows), "a user has several live rows"
    return found


def differences(address: str, clerk: LocalClerk) -> dict[str, object]:
    """Return the rows that differ from Clerk, and None for each changed user without a row."""
    rows = live_users(address)
    known = {user.id: user for user in clerk.people}
    wrong: dict[str, object] = {
        clerk_id: row
        for clerk_id, row in rows.items()
        if clerk_id not in known or expected_values(known[clerk_id]) != row
    }
    changed = {user.id for user in known.values() if user.updated_at > START_MILLISECONDS}
    return wrong | dict.fromkeys(changed - set(rows))


def wait_for_consistency(address: str, clerk: LocalClerk, *, seconds: float = 60) -> None:
    """Wait until every row equals the user in Clerk; raise AssertionError after a time limit."""
    wait_until(
        lambda: not clerk.emulator.deliveries._queue, seconds=seconds, what="the delivery of every webhook"
    )
    deadline = time.monotonic() + 20  # a delivery may still be in progress
    while found := differences(address, clerk):
        assert time.monotonic() < deadline, (
            f"{len(found)} rows differ from Clerk: {dict(list(found.items())[:3])}"
        )
        time.sleep(0.1)
