"""Link existing Django users to Clerk users, before the project goes live.

Note [Why linking is a command and never happens at a request]
An e-mail address identifies a user only if both sides agree on who verified it and no two accounts have it.
The command reads all of Clerk's list before it decides, an operator reads the decisions, and users in doubt
are not linked. The old password becomes unusable: someone other than the user may have set it.

Note [What an external_id proves]
A UUID that is the key of a row can only have been copied from it. A small number can be the key of a row by
chance, or come from another system. So with any other key than a UUID the verified address must agree, unless
the operator confirms that Clerk's `external_id` holds these keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from django.db import models

from accounts.adapter import get_email_column, get_identity, is_staff, link_user, lock_user
from accounts.bulk.matching import ClerkUser, PageRows, fold, get_key_field, iter_users
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.db import locked_transaction
from accounts.sync import build_identity, get_rows, sync_user


class Verdict(StrEnum):
    """The decision about a Clerk user with a matching row; all but the first two mean: do not link."""

    BY_EXTERNAL_ID = "by_external_id"
    BY_EMAIL = "by_verified_email"
    SEVERAL_ROWS = "several_rows_match"
    SEVERAL_USERS = "several_clerk_users_match"
    STAFF = "row_is_staff"
    OTHER_CLERK_ID = "row_has_a_clerk_id"
    DELETED_ROW = "row_is_deleted"
    HAS_ROW = "clerk_user_has_a_row"
    DELETED_USER = "clerk_user_was_deleted_here"
    CHANGED = "changed_meanwhile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about one Clerk user; `row` is the key of the matching row, None if several match."""

    clerk_id: str
    verdict: Verdict
    row: Any

    @property
    def is_link(self) -> bool:
        """Return whether the row is to be linked to the Clerk user."""
        return self.verdict in {Verdict.BY_EXTERNAL_ID, Verdict.BY_EMAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The decisions about all users in Clerk.

    `unverified` pairs the Clerk id of a user with the key of a row that has the user's address, which is not
    verified in Clerk: it decides nothing. `unmatched` is the number of users in Clerk that match no row and
    have none.
    """

    decisions: list[Decision]
    unverified: list[tuple[str, Any]]
    unmatched: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """What the operator confirms: Note [What an external_id proves], and that old passwords stay valid."""

    external_id_is_key: bool = False
    keep_passwords: bool = False

    @property
    def is_key_proof(self) -> bool:
        """Return whether an `external_id` that is a primary key links without the address."""
        return self.external_id_is_key or isinstance(get_key_field(), models.UUIDField)


def decide(api: ClerkAPI, *, clock: Clock, options: LinkOptions) -> Plan:
    """Return a decision for each Clerk user with a row to link; write nothing.

    Users without a matching row, and users that are linked already, need no decision. Raises
    ClerkAPIError and django.db.Error.
    """
    decisions: list[Decision] = []
    unverified: list[tuple[str, Any]] = []
    without_row = 0
    clerk_ids_by_row: defaultdict[Any, set[str]] = defaultdict(set)
    for users in iter_users(api, clock=clock):
        rows = PageRows(users)
        for user in users:
            clerk_id = user.profile.clerk_id
            for row in rows.by_address.get(user.address, []):
                clerk_ids_by_row[row.pk].add(clerk_id)
            decision = _decide_for_user(user, rows=rows, options=options)
            if decision:
                decisions.append(decision)
            if clerk_id not in rows.live | rows.deleted:
                without_row += not decision
                unverified += [] if decision else _find_unverified(user, rows=rows)
    decisions = list(_resolve_conflicts(decisions, clerk_ids_by_row=clerk_ids_by_row))
    linked = {each.row for each in decisions if each.is_link}
    return Plan(
        decisions=decisions,
        unverified=[(clerk_id, row) for clerk_id, row in unverified if row not in linked],
        unmatched=without_row,
    )


def link(
    api: ClerkAPI, decisions: Sequence[Decision], *, clock: Clock, options: LinkOptions
) -> list[Decision]:
    """Link the rows as decided and return the final decisions; a row or user that changed is not linked.

    Reads Clerk's list again, to hold only one page of profiles at a time. Raises ClerkAPIError and
    django.db.Error.
    """
    wanted = {decision.clerk_id: decision for decision in decisions if decision.is_link}
    linked = set()
    for users in iter_users(api, clock=clock) if wanted else ():
        for user in users:
            decision = wanted.get(user.profile.clerk_id)
            if decision and _link(user, decision=decision, options=options):
                linked.add(decision.clerk_id)
    return [
        replace(each, verdict=Verdict.CHANGED) if each.is_link and each.clerk_id not in linked else each
        for each in decisions
    ]


def _decide_for_user(user: ClerkUser, *, rows: PageRows, options: LinkOptions) -> Decision | None:
    by_key = rows.by_key.get(user.external_id)
    matches = rows.by_address.get(user.address, [])
    if by_key is not None and (options.is_key_proof or by_key in matches):
        matches = [by_key]
    else:
        by_key = None
    if user.profile.clerk_id in rows.live:
        # Linked already, or created at a sign-in. Report only rows that match but can no longer be linked.
        matches = [row for row in matches if _get_refusal(row) is None]
        verdict = Verdict.HAS_ROW
    elif user.profile.clerk_id in rows.deleted:
        verdict = Verdict.DELETED_USER
    elif len(matches) > 1:
        verdict = Verdict.SEVERAL_ROWS
    elif matches:
        verdict = _get_refusal(matches[0]) or (Verdict.BY_EXTERNAL_ID if by_key else Verdict.BY_EMAIL)
    if not matches:
        return None
    row = matches[0].pk if len(matches) == 1 else None
    return Decision(clerk_id=user.profile.clerk_id, verdict=verdict, row=row)


def _find_unverified(user: ClerkUser, *, rows: PageRows) -> list[tuple[str, Any]]:
    """Return the rows with the unverified address of a user: `backfill_users` would create a duplicate."""
    matches = rows.by_address.get(user.unverified_address, [])
    return [(user.profile.clerk_id, row.pk) for row in matches if not _has_clerk_id(row)]


def _get_refusal(row: Any) -> Verdict | None:
    """Return why this row may not be linked to any Clerk user, or None if it may."""
    if is_staff(row):
        return Verdict.STAFF
    identity = get_identity(row)
    if identity is not None and identity.deleted_at is not None:
        return Verdict.DELETED_ROW
    return Verdict.OTHER_CLERK_ID if _has_clerk_id(row) else None


def _has_clerk_id(row: Any) -> bool:
    identity = get_identity(row)
    return identity is not None and identity.clerk_id is not None


def _resolve_conflicts(
    decisions: Sequence[Decision], *, clerk_ids_by_row: Mapping[Any, set[str]]
) -> Iterator[Decision]:
    """Yield the decisions; links of one row to several Clerk users become `SEVERAL_USERS`.

    `clerk_ids_by_row` holds the Clerk users that have the verified address of a row. An `external_id` takes
    precedence over an address, since only a system that knew the row can have written it.
    """
    links_by_key: Counter[Any] = Counter(
        decision.row for decision in decisions if decision.verdict == Verdict.BY_EXTERNAL_ID
    )
    for decision in decisions:
        by_key = links_by_key[decision.row]
        by_address = len(clerk_ids_by_row.get(decision.row, ())) if decision.row else 0
        is_conflict = {
            Verdict.BY_EXTERNAL_ID: by_key > 1,
            Verdict.BY_EMAIL: by_key > 0 or by_address > 1,
        }.get(decision.verdict, False)
        yield replace(decision, verdict=Verdict.SEVERAL_USERS) if is_conflict else decision


def _link(user: ClerkUser, *, decision: Decision, options: LinkOptions) -> bool:
    """Link the row unless the facts behind the decision have changed; return whether it was linked."""
    clerk_id = user.profile.clerk_id
    with locked_transaction(clerk_id):
        row = lock_user(decision.row)
        if row is None or _get_refusal(row) or get_rows(clerk_id):
            return False
        if not _still_matches(user, row=row, verdict=decision.verdict, options=options):
            return False
        link_user(row, build_identity(user.profile), keep_password=options.keep_passwords)
        sync_user(user.profile)
    return True


def _still_matches(user: ClerkUser, *, row: Any, verdict: Verdict, options: LinkOptions) -> bool:
    column = get_email_column()
    has_address = user.address is not None and user.address == fold((column and getattr(row, column)) or "")
    if verdict == Verdict.BY_EXTERNAL_ID:
        return user.external_id == row.pk and (options.is_key_proof or has_address)
    return has_address
