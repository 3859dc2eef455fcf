"""Linking: existing Django users become the rows of the Clerk users they are, before going live.

Note [Why linking is a command and never happens at a request]
An address proves a person only while both sides agree on who verified it and no two accounts claim it. Here
the whole of Clerk's list is seen before anything is decided, an operator reads the decisions, and whoever is
in doubt stays apart. An old password does not outlive the change: whoever set it may be somebody else.

Note [Only A to Z have two cases]
Unicode's small letter of the Kelvin sign is k, so somebody who verified mar\u212a@example.com would be given
the row of mark@example.com. The database folds by its own rules, and only finds the rows to compare.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower

from accounts.bulk.pages import milliseconds
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.clerk.profiles import ClerkProfile, Source, UnusableProfile, profile_from_user
from accounts.db import locked_transaction
from accounts.models import User
from accounts.sync import get_rows, sync_user


class Verdict(StrEnum):
    """What is decided about a Clerk user for whom there is a row; all but the first two leave both apart."""

    BY_EXTERNAL_ID = "by_external_id"
    BY_EMAIL = "by_verified_email"
    SEVERAL_ROWS = "several_rows_match"
    SEVERAL_PEOPLE = "several_clerk_users_match"
    STAFF = "row_is_staff"
    TAKEN = "row_has_a_clerk_id"
    DELETED_ROW = "row_is_deleted"
    HAS_ROW = "clerk_user_has_a_row"
    DELETED_HERE = "clerk_user_was_deleted_here"
    CHANGED = "changed_meanwhile"


LINKS = frozenset({Verdict.BY_EXTERNAL_ID, Verdict.BY_EMAIL})
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done about one Clerk user; `row` is the user it is about, None if there are several."""

    clerk_id: str
    verdict: Verdict
    row: UUID | None

    @property
    def is_link(self) -> bool:
        """Tell whether the two are to become one."""
        return self.verdict in LINKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a Clerk user is recognised by: an `external_id` that is our key, a verified primary address."""

    clerk_id: str
    external_id: UUID | None
    address: str | None
    profile: ClerkProfile


class _Rows:
    """The rows that the candidates of one page speak of."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        clerk_ids = [candidate.clerk_id for candidate in candidates]
        keys = [candidate.external_id for candidate in candidates if candidate.external_id]
        addresses = [candidate.address for candidate in candidates if candidate.address]
        self.by_key = User.objects.in_bulk(keys)
        self.by_address: defaultdict[str, list[User]] = defaultdict(list)
        for row in _with_addresses(addresses):
            self.by_address[_folded(row.email or "")].append(row)
        rows = User.objects.live_or_deleted().filter(clerk_id__in=clerk_ids)
        ends = rows.values_list("clerk_id", "deleted_at")
        self.known = {clerk_id for clerk_id, deleted_at in ends if deleted_at is None}
        self.buried = {clerk_id for clerk_id, _ in ends} - self.known


def decide(api: ClerkAPI, *, clock: Clock) -> list[Decision]:
    """Go through all of Clerk's users and return the decisions about those for whom there is a row to link.

    Nothing is written. People without a row, and those who are linked already, need no decision.
    """
    decisions: list[Decision] = []
    contenders: defaultdict[UUID, set[str]] = defaultdict(set)
    for candidates in _iter_candidates(api, clock=clock):
        rows = _Rows(candidates)
        for candidate in candidates:
            for row in rows.by_address.get(candidate.address or "", ()):
                contenders[row.pk].add(candidate.clerk_id)
            decision = _judge(candidate, rows=rows)
            if decision:
                decisions.append(decision)
    return list(_without_rivals(decisions, contenders=contenders))


def link(api: ClerkAPI, decisions: Iterable[Decision], *, clock: Clock) -> list[Decision]:
    """Carry the decisions out and return them as they ended; what changed meanwhile is left alone.

    Clerk's list is read once more, so that no more than a page of profiles is held at a time.
    """
    wanted = {decision.clerk_id: decision for decision in decisions if decision.is_link}
    ended: list[Decision] = [decision for decision in decisions if not decision.is_link]
    for candidates in _iter_candidates(api, clock=clock) if wanted else ():
        for candidate in candidates:
            decision = wanted.pop(candidate.clerk_id, None)
            if decision:
                ended.append(decision if _link(candidate, decision=decision) else _changed(decision))
    return [*ended, *map(_changed, wanted.values())]


def _iter_candidates(api: ClerkAPI, *, clock: Clock) -> Iterator[list[Candidate]]:
    for page in api.iter_users():
        candidates = []
        for user in page.users:
            try:
                profile = profile_from_user(
                    user, source=Source.API, observed_at=page.answered_at, now=milliseconds(clock)
                )
            except UnusableProfile:
                continue  # backfill and reconcile report those
            candidates.append(_candidate(user, profile=profile))
        yield candidates


def _candidate(user: dict[str, Any], *, profile: ClerkProfile) -> Candidate:
    email = profile.values.get("email")
    is_verified = profile.values.get("email_verified") is True
    return Candidate(
        clerk_id=profile.clerk_id,
        external_id=_key(user.get("external_id")),
        address=_folded(email) if isinstance(email, str) and email and is_verified else None,
        profile=profile,
    )


def _key(text: object) -> UUID | None:
    """Read a primary key as Django prints it; other spellings of a UUID are another system's ids."""
    try:
        key = UUID(str(text))
    except ValueError:
        return None
    return key if str(key) == text else None


def _folded(address: str) -> str:
    """Return the address as it is compared: Note [Only A to Z have two cases]."""
    return address.translate(_SMALL)


def _with_addresses(addresses: Sequence[str]) -> QuerySet[User]:
    """Return the rows that may have one of these addresses, by the database's idea of small letters."""
    wanted = [Lower(Value(address)) for address in addresses]
    return User.objects.live().annotate(address=Lower("email")).filter(address__in=wanted)


def _judge(candidate: Candidate, *, rows: _Rows) -> Decision | None:
    named = rows.by_key.get(candidate.external_id) if candidate.external_id else None
    matches = [named] if named else rows.by_address.get(candidate.address or "", [])
    if candidate.clerk_id in rows.known:
        # Linked already, or met at a request; worth a word only if a row of its own was left behind.
        matches = [row for row in matches if row.clerk_id is None and not _is_staff(row)]
        verdict = Verdict.HAS_ROW
    elif candidate.clerk_id in rows.buried:
        verdict = Verdict.DELETED_HERE
    elif len(matches) > 1:
        verdict = Verdict.SEVERAL_ROWS
    else:
        verdict = next(map(_objection, matches), None) or (
            Verdict.BY_EXTERNAL_ID if named else Verdict.BY_EMAIL
        )
    if not matches:
        return None
    row = matches[0].pk if len(matches) == 1 else None
    return Decision(clerk_id=candidate.clerk_id, verdict=verdict, row=row)


def _objection(row: User) -> Verdict | None:
    """Say why this row is nobody's to take, None if it may be linked."""
    if _is_staff(row):
        return Verdict.STAFF
    if row.deleted_at is not None:
        return Verdict.DELETED_ROW
    return Verdict.TAKEN if row.clerk_id is not None else None


def _is_staff(row: User) -> bool:
    return row.is_staff or row.is_superuser


def _without_rivals(
    decisions: Sequence[Decision], *, contenders: Mapping[UUID, set[str]]
) -> Iterator[Decision]:
    """Yield the decisions, undone where one row would go to two Clerk users, or one address belongs to two.

    An `external_id` was written by somebody who knew the row: against an address it wins.
    """
    named: Counter[UUID | None] = Counter(
        decision.row for decision in decisions if decision.verdict == Verdict.BY_EXTERNAL_ID
    )
    for decision in decisions:
        by_key, by_address = named[decision.row], len(contenders.get(decision.row, ())) if decision.row else 0
        is_contested = {
            Verdict.BY_EXTERNAL_ID: by_key > 1,
            Verdict.BY_EMAIL: by_key > 0 or by_address > 1,
        }.get(decision.verdict, False)
        yield replace(decision, verdict=Verdict.SEVERAL_PEOPLE) if is_contested else decision


def _changed(decision: Decision) -> Decision:
    return replace(decision, verdict=Verdict.CHANGED)


def _link(candidate: Candidate, *, decision: Decision) -> bool:
    """Make the two one, unless what the decision stood on is no longer so."""
    with locked_transaction(candidate.clerk_id):
        row = User.objects.select_for_update().filter(pk__in=[decision.row]).first()
        if row is None or _objection(row) or get_rows(candidate.clerk_id):
            return False
        if not _still_matches(candidate, row=row, verdict=decision.verdict):
            return False
        row.clerk_id = candidate.clerk_id
        row.set_unusable_password()
        row.save(update_fields=["clerk_id", "password", "updated_at"])
        sync_user(candidate.profile)
    return True


def _still_matches(candidate: Candidate, *, row: User, verdict: Verdict) -> bool:
    if verdict == Verdict.BY_EXTERNAL_ID:
        return candidate.external_id == row.pk
    return candidate.address is not None and candidate.address == _folded(row.email or "")
