"""A row in memory, as the merge sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from accounts.clerk.profiles import ClerkProfile, Source, Value
from accounts.merge import MergeResult, Version, merge

EMPTY: dict[str, Value] = {
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
    """The values and versions of one row."""

    values: dict[str, Value] = field(default_factory=lambda: dict(EMPTY))
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
