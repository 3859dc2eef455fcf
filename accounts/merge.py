"""The merge rule: a pure function from a stored row and one profile to what must be written.

Note [Every field is a register]
Each field carries a version `(milliseconds, rank)` of Clerk's clock. The greatest version wins, and at equal
versions the greater value, so that any order of the same facts ends in the same row. A full snapshot
(webhook, API) raises the version even where the value is equal: without that A, B, A delivered as 1, 3, 2
ends at B. Claims do not: they are read at every request, which must write nothing.

Note [Verification belongs to an address]
As two independent fields, an address could end up marked verified that nobody had verified. So a new address
without a word on verification is unverified at version zero (any source that names it may correct that), and
a source's word counts only if it names the address that is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accounts.clerk.profiles import FIELDS, ClerkProfile, Source, Value

Version = tuple[int, int]
NEVER: Version = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What to write: changed values, and all versions if one of them rose. `stale`: the row knew better."""

    values: Mapping[str, Value]
    versions: Mapping[str, Version] | None
    stale: bool


def merge(values: Mapping[str, Value], versions: Mapping[str, Version], profile: ClerkProfile) -> Merged:
    """Merge a profile into a row's values and versions."""
    new_values, new_versions = dict(values), dict(versions)
    lost = older = 0
    for field in FIELDS:
        if field not in profile.values or (
            field == "email_verified" and not _names_address(profile, new_values)
        ):
            continue
        value = profile.values[field]
        stored = new_versions.get(field, NEVER)
        version = _version(profile, stored, differs=value != new_values[field])
        if _wins(field, value, version, over=new_values[field], at=stored, source=profile.source):
            if field == "email" and value != new_values["email"]:
                new_values["email_verified"], new_versions["email_verified"] = False, NEVER
            new_values[field] = _kept(field, value)
            new_versions[field] = version
        elif version < stored:
            older += 1
            lost += value != new_values[field]
    changed = {field: new_values[field] for field in FIELDS if new_values[field] != values[field]}
    raised = new_versions != dict(versions)
    return Merged(
        values=changed,
        versions=new_versions if raised else None,
        stale=not raised and not changed and bool(lost or (older and older == len(profile.values))),
    )


def _names_address(profile: ClerkProfile, values: Mapping[str, Value]) -> bool:
    return "email" in profile.values and profile.values["email"] == values["email"]


def _version(profile: ClerkProfile, stored: Version, *, differs: bool) -> Version:
    # An API answer also held at its Date: it may correct a wrong value whose time lies between the two.
    if profile.true_until is not None and differs and profile.at <= stored[0] <= profile.true_until:
        return (profile.true_until, profile.source)
    return (profile.at, profile.source)


def _wins(field: str, value: Value, version: Version, *, over: Value, at: Version, source: Source) -> bool:
    if source is Source.CLAIMS:
        # A null comes to everybody after a typo in the dashboard: it clears only what claims had brought.
        if value == over or (value in (None, "") and at[1] != Source.CLAIMS):
            return False
    elif value == over:
        return version[0] > at[0]
    if version != at:
        return version > at
    if field == "email_verified":
        return value is False
    return _canonical(value) > _canonical(over)


def _canonical(value: Value) -> str:
    return "" if value is None else str(value)


def _kept(field: str, value: Value) -> Value:
    return bool(value) if field in {"email_verified", "banned"} else value
