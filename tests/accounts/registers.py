"""A row in memory, as the merge sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from accounts.clerk.profiles import ClerkProfile, Source
from accounts.merge import MergeResult, Version, merge

EMPTY: dict[str, Any] = {
    "email": None,
    "email_verified": False,
    "first_name": "",
    "last_name": "",
    "image_url": "",
    "banned": False,
}
CLAIMS, WEBHOOK, API = Source.CLAIMS, Source.WEBHOOK, Source.API


@dataclass
class Row:
    """The columns and versions of one row; `extra` is among the columns once it has a value."""

    values: dict[str, Any] = field(default_factory=lambda: dict(EMPTY))
    versions: dict[str, Version] = field(default_factory=dict)

    def apply(self, profile: ClerkProfile) -> MergeResult:
        merged = merge(self.values, self.versions, profile)
        self.values |= merged.values
        if merged.versions is not None:
            self.versions = dict(merged.versions)
        return merged


def after(*profiles: ClerkProfile) -> Row:
    """Return a row after these profiles, applied in this order."""
    row = Row()
    for profile in profiles:
        row.apply(profile)
    return row
