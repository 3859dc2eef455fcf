"""The merge rule: a pure function from a stored row and one profile to the values that must be written.

Note [Every field is a register]
Each field carries a version: a time of Clerk's clock in milliseconds, and the rank of the source. The greater
version wins. At equal versions False wins for `email_verified`, and for other fields the greater value. So
any order of the same correct data ends in the same row. A wrong claim that is newer may stay until the next
API answer. A complete snapshot (webhook, API) with a greater time raises the version even where the value is
equal: otherwise A, B, A delivered as 1, 3, 2 would end at B. Claims do not raise it: they are read at every
request, and a usual request writes nothing. An empty claim clears only a value that came from claims, because
after a typo in the dashboard the claim is null for every user.

Note [Verification belongs to an address]
As two independent fields, an address that was never verified could end up marked as verified. So a new
address without a statement on verification is unverified at version zero (any source that names the address
may correct that), and a statement counts only if its source names the stored address. Without an address
nothing is verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.clerk.fields import COLUMNS, DECLARED, EXTRA, Value, is_equal, sort_text
from accounts.clerk.profiles import ClerkProfile, Source

Version = tuple[int, int]
NO_VERSION: Version = (0, 0)
# In place of the value of a field that no source has sent yet; a cleared one is null.
ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """The columns to write, and all versions if one of them rose. `stale`: the row has newer data."""

    values: Mapping[str, Any]
    versions: Mapping[str, Version] | None
    stale: bool


def merge(values: Mapping[str, Any], versions: Mapping[str, Version], profile: ClerkProfile) -> MergeResult:
    """Merge a profile into the columns and versions of a row; the arguments are not changed.

    `values` may leave out the column `extra` if the profile has none of its fields.
    """
    extra = values.get("extra", {})
    new_values, new_versions = {**extra, **values}, dict(versions)
    present_count = older_count = rejected_changes = 0
    is_accepted = False
    for field in DECLARED:
        stored_version = new_versions.get(field, NO_VERSION)
        if field not in profile.values or not _applies_to(
            profile, field, address=new_values["email"], stored_version=stored_version
        ):
            continue
        present_count += 1
        value = profile.values[field] if profile.values[field] is not None else DECLARED[field].empty
        stored = new_values.get(field, ABSENT)
        is_change = not is_equal(value, stored)
        version = _incoming_version(profile, stored_version, is_change=is_change)
        if is_change:
            is_written = _replaces(field, value, version, stored=stored, stored_version=stored_version)
        else:
            is_written = version[1] != Source.CLAIMS and version[0] > stored_version[0]
        if is_written:
            is_accepted = True
            if field == "email" and is_change:
                new_values["email_verified"], new_versions["email_verified"] = False, NO_VERSION
            new_values[field], new_versions[field] = value, version
        elif version < stored_version:
            older_count += 1
            rejected_changes += is_change
    if not is_accepted:
        is_stale = bool(rejected_changes or (older_count and older_count == present_count))
        return MergeResult(values={}, versions=None, stale=is_stale)
    return MergeResult(
        values=_changed_columns(values, new_values, extra=extra),
        versions=None if new_versions == versions else new_versions,
        stale=False,
    )


def _applies_to(profile: ClerkProfile, field: str, *, address: Value, stored_version: Version) -> bool:
    """Return whether the profile's statement on the field counts: the two Notes of this module."""
    if profile.source is Source.CLAIMS and profile.values[field] in (None, ""):
        return stored_version[1] == Source.CLAIMS
    return field != "email_verified" or (address is not None and profile.values.get("email") == address)


def _incoming_version(profile: ClerkProfile, stored_version: Version, *, is_change: bool) -> Version:
    # An API answer also holds at its Date: it corrects a wrong value whose time lies between the two.
    if is_change and profile.true_until is not None and profile.at <= stored_version[0] <= profile.true_until:
        return (profile.true_until, profile.source)
    return (profile.at, profile.source)


def _replaces(field: str, value: Value, version: Version, *, stored: object, stored_version: Version) -> bool:
    """Return whether a different value replaces the stored one: the first Note of this module."""
    if version != stored_version:
        return version > stored_version
    if field == "email_verified":
        return value is False
    return stored is ABSENT or sort_text(value) > sort_text(stored)


def _changed_columns(
    values: Mapping[str, Any], new_values: Mapping[str, Any], *, extra: Mapping[str, Any]
) -> dict[str, Any]:
    changed = {field: new_values[field] for field in COLUMNS if new_values[field] != values[field]}
    new_extra = {field: new_values[field] for field in EXTRA if field in new_values}
    if any(not is_equal(value, extra.get(field, ABSENT)) for field, value in new_extra.items()):
        changed["extra"] = {**extra, **new_extra}
    return changed
