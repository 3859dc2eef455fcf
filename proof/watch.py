"""What must hold of the people table after every step, read from the table itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from accounts.merge import NEVER
from accounts.models import DeletedBy, User
from devclerk.users import ClerkUser

Rows = list[tuple[Any, ...]]
EVERYTHING = ("accounts_user", "webhooks_webhookevent", "health_syncfailure")


def physical(*tables: str) -> Rows:
    """Give the physical version of every row of the tables: every write changes it, whatever it wrote."""
    found: Rows = []
    with connection.cursor() as cursor:
        for table in tables or ("accounts_user",):
            cursor.execute(f"SELECT ctid::text, xmin::text FROM {table} ORDER BY ctid")  # noqa: S608 - our names
            found += cursor.fetchall()
    return found


def truth(person: ClerkUser) -> dict[str, Any]:
    """Give what the row of a person should say."""
    return {
        "email": person.email,
        "email_verified": person.email is not None and person.email_verified,
        "first_name": person.first_name or "",
        "last_name": person.last_name or "",
        "image_url": person.image_url,
        "banned": person.banned or person.deprovisioned,
    }


def told(row: User) -> dict[str, Any]:
    """Give what the row of a person says."""
    return {
        name: getattr(row, name) for name in truth(ClerkUser(id="", handle="", created_at=0, updated_at=0))
    }


class Watcher:
    """Remembers the versions that each row had, and which addresses were ever verified."""

    def __init__(self) -> None:
        self._versions: dict[Any, dict[str, list[int]]] = {}
        self.verified: set[tuple[str, str | None]] = set()

    def look(self) -> None:
        """Raise AssertionError unless every promise holds."""
        rows = list(User.objects.exclude(clerk_id=None))
        live = Counter(row.clerk_id for row in rows if row.deleted_at is None)
        assert all(number == 1 for number in live.values()), f"several live rows: {live}"
        buried = {row.clerk_id for row in rows if row.deleted_by == DeletedBy.CLERK}
        assert not buried & set(live), "a live row beside a tombstone of Clerk's"
        for row in rows:
            self._look_at(row)

    def _look_at(self, row: User) -> None:
        before = self._versions.get(row.pk, {})
        for name, version in before.items():
            now = row.field_versions.get(name, [0, 0])
            # A new address starts without a word on verification; nothing else ever falls.
            reset = name == "email_verified" and tuple(now) == NEVER
            assert now >= version or reset, f"the version of {name} fell from {version} to {now}"
        self._versions[row.pk] = dict(row.field_versions)
        if row.email_verified:
            known = (str(row.clerk_id), row.email) in self.verified
            assert known, "an address is marked verified that nobody has verified"
