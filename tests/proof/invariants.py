"""The invariants of the user table, checked after every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Any

from django.db import connection

from accounts.merge import NO_VERSION
from accounts.models import DeletedBy, is_user_model
from devclerk.users import ClerkUser
from tests.proof.tables import OTHER_ADDRESS, USER_TABLES, WITHOUT_USER, Identity, find_broken_rules

Rows = list[tuple[Any, ...]]
ALL_TABLES = (*USER_TABLES, "webhooks_webhookevent", "health_syncfailure")


def row_versions(*tables: str) -> Rows:
    """Return the physical version of every row of the tables; every write changes it."""
    found: Rows = []
    for table in tables or USER_TABLES:
        found += run_statement(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY ctid")  # noqa: S608 - constant names
    return found


def run_statement(statement: str) -> Rows:
    """Run a statement on this thread's connection and return the rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def expected_values(user: ClerkUser) -> dict[str, Any]:
    """Return the values that the row of a user in Clerk must have."""
    return {
        "email": user.email,
        "email_verified": user.email is not None and user.email_verified,
        "first_name": user.first_name or "",
        "last_name": user.last_name or "",
        "image_url": user.image_url,
        "banned": user.banned or user.deprovisioned,
    }


def row_values(row: Any) -> dict[str, Any]:
    """Return the same values of a row."""
    return {
        name: getattr(row, name)
        for name in expected_values(ClerkUser(id="", handle="", created_at=0, updated_at=0))
    }


def check_address(identity: Any, *, verified: Container[tuple[str, str | None]]) -> None:
    """Raise AssertionError if the project's user has an address that is not in `verified`, with its Clerk id.

    A user without one has a placeholder, because the column demands an address.
    """
    if is_user_model() or identity.user is None:
        return
    address = identity.user.email
    is_known = (identity.clerk_id, address) in verified or address.endswith("@clerk.invalid")
    assert is_known, "the project's user has an address that was never verified in Clerk"


class InvariantChecker:
    """Checks all rows against their earlier versions and the addresses that were ever verified in Clerk."""

    def __init__(self) -> None:
        self._versions: dict[Any, dict[str, list[int]]] = {}
        self.verified: set[tuple[str, str | None]] = set()
        # The keys of accounts whose user the project has deleted.
        self.without_user: set[Any] = set()

    def check(self) -> None:
        """Raise AssertionError unless every invariant holds."""
        rows = list(Identity.objects.exclude(clerk_id=None))
        live = Counter(row.clerk_id for row in rows if row.deleted_at is None)
        assert all(number == 1 for number in live.values()), f"several live rows: {live}"
        deleted = {row.clerk_id for row in rows if row.deleted_by == DeletedBy.CLERK}
        assert not deleted & set(live), "a live row of a user that Clerk has deleted"
        for row in rows:
            self._check_row(row)
        broken = [each for each in find_broken_rules(run_statement) if not self._is_allowed(*each)]
        assert not broken, f"the rows of a user do not fit together: {broken}"

    def _check_row(self, row: Any) -> None:
        before = self._versions.get(row.pk, {})
        for name, version in before.items():
            current = row.field_versions.get(name, [0, 0])
            # A new address resets the version of its verification; no other version ever decreases.
            reset = name == "email_verified" and tuple(current) == NO_VERSION
            assert current >= version or reset, f"the version of {name} fell from {version} to {current}"
        self._versions[row.pk] = dict(row.field_versions)
        if row.email_verified:
            was_verified = (str(row.clerk_id), row.email) in self.verified
            assert was_verified, "an address is marked as verified that was never verified in Clerk"
        check_address(row, verified=self.verified)

    def _is_allowed(self, rule: str, key: object, clerk_id: str, *address: str) -> bool:
        """Return whether the project has caused it: a deleted user, or an address that another user has."""
        if rule == OTHER_ADDRESS:
            return any(other != clerk_id for other, held in self.verified if (held,) == address)
        return rule == WITHOUT_USER and key in self.without_user
