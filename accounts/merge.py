"""The merge rule: a pure function from a stored row and one profile to what must be written.

Note [Every field is a register]
Each field carries a version `(milliseconds, rank)` of Clerk's clock. The greatest version wins, and at equal
versions the greater value, so that any order of the same facts ends in the same row. A full snapshot
(webhook, API) raises the version even where the value is equal: without that A, B, A delivered as 1, 3, 2
ends at B. Claims do not: they are read at every request, which must write nothing. Nor do they say anything
by a null where the value did not come from claims: after a typo in the dashboard everybody's is null.

Note [Verification belongs to an address]
As two independent fields, an address could end up marked verified that nobody had verified. So a new address
without a word on verification is unverified at version zero (any source that names it may correct that), and
a source's word counts only if it names the address that is stored. No address is never verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accounts.clerk.profiles import FIELDS, ClerkProfile, Source, Value

Version = tuple[int, int]
NEVER: Version = (0, 0)
# What a null is stored as; in all other fields it is the empty text.
EMPTY: Mapping[str, Value] = {"email": None, "email_verified": False, "banned": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What to write: changed values, and all versions if one of them rose. `stale`: the row knew better."""

    values: Mapping[str, Value]
    versions: Mapping[str, Version] | None
    stale: bool


def merge(values: Mapping[str, Value], versions: Mapping[str, Version], profile: ClerkProfile) -> Merged:
    """Merge a profile into a row's values and versions."""
    new_values, new_versions = dict(values), dict(versions)
    told = (profile.at, profile.source)
    said = older = lost = 0
    won = False
    for field in FIELDS:
        stored = new_versions.get(field, NEVER)
        if not _says(profile, field, address=new_values["email"], stored=stored):
            continue
        said += 1
        value = _storable(profile, field)
        differs = value != new_values[field]
        version = _correcting(profile, stored) if differs else told
        if _wins(field, value, version, over=new_values[field], at=stored):
            won = True
            if field == "email" and differs:
                new_values["email_verified"], new_versions["email_verified"] = False, NEVER
            new_values[field], new_versions[field] = value, version
        elif version < stored:
            older += 1
            lost += differs
    if not won:
        return Merged(values={}, versions=None, stale=bool(lost or (older and older == said)))
    changed = {field: new_values[field] for field in FIELDS if new_values[field] != values[field]}
    return Merged(values=changed, versions=None if new_versions == versions else new_versions, stale=False)


def _says(profile: ClerkProfile, field: str, *, address: Value, stored: Version) -> bool:
    if field not in profile.values:
        return False
    if profile.source is Source.CLAIMS and profile.values[field] in (None, ""):
        return stored[1] == Source.CLAIMS
    return field != "email_verified" or (address is not None and profile.values.get("email") == address)


def _storable(profile: ClerkProfile, field: str) -> Value:
    value = profile.values[field]
    return EMPTY.get(field, "") if value is None else value


def _correcting(profile: ClerkProfile, stored: Version) -> Version:
    # An API answer also held at its Date: it may correct a wrong value whose time lies between the two.
    if profile.true_until is not None and profile.at <= stored[0] <= profile.true_until:
        return (profile.true_until, profile.source)
    return (profile.at, profile.source)


def _wins(field: str, value: Value, version: Version, *, over: Value, at: Version) -> bool:
    if value == over:
        return version[1] != Source.CLAIMS and version[0] > at[0]
    if version != at:
        return version > at
    if field == "email_verified":
        return value is False
    return str(value or "") > str(over or "")
