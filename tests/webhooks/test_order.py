"""Every order of webhooks and tokens, with repeats, ends in the same row."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.clerk.profiles import (
    DEFAULT_CLAIMS,
    Source,
    parse_claims_map,
    profile_from_claims,
    profile_from_user,
)
from accounts.clerk.tokens import SessionClaims
from accounts.models import User
from accounts.sync import UserDeleted, delete_user, sync_user
from tests.webhooks.deliveries import envelope, next_id, now, outcome_of, user_data

pytestmark = pytest.mark.django_db

Row = dict[str, Any]
START = now() // 1000 * 1000 - 3_600_000
# The versions of the user, one per minute: a name and an address return to an earlier value.
VERSIONS: list[Row] = [
    {"first_name": "Ada", "email": "ada@example.test", "email_verified": True},
    {"first_name": "Augusta", "email": "ada@example.test", "email_verified": True},
    {"first_name": "Ada", "email": "countess@example.test", "email_verified": False},
    {"first_name": "Ada", "email": "ada@example.test", "email_verified": True, "last_name": "King"},
]
VISIBLE = (
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "image_url",
    "banned",
    "deleted_at",
    "deleted_by",
)
State = tuple[tuple[str, str], ...]


def minute(number: float) -> int:
    return START + int(number * 60_000)


def snapshot(number: int) -> Row:
    return user_data(updated_at=minute(number), **VERSIONS[number])


def token(number: int) -> SessionClaims:
    """Return the claims of a token that was read from Clerk half a minute after this version."""
    read_at = minute(number + 0.5) // 1000
    data = {"last_name": "Lovelace", "image_url": "https://img.example.test/ada.png"} | VERSIONS[number]
    return SessionClaims(
        user_id="user_1",
        session_id="sess_1",
        issued_at=read_at,
        expires_at=read_at + 60,
        authorized_party=None,
        actor=None,
        read_at=read_at,
        payload={"sub": "user_1", **data},
    )


def sign_in(number: int) -> None:
    """Sync the user as a request with this token does."""
    with suppress(UserDeleted):
        sync_user(profile_from_claims(token(number), mapping=parse_claims_map(DEFAULT_CLAIMS)))


@dataclass(frozen=True)
class Step:
    """A change of a user, as a call and as a delivery."""

    name: str
    effect: Callable[[], object]
    deliver: Callable[[str], object]


def webhook(name: str, number: int) -> Step:
    def effect() -> object:
        at = minute(number)
        return sync_user(
            profile_from_user(snapshot(number), source=Source.WEBHOOK, observed_at=at, now=now())
        )

    event = envelope(f"user.{name.partition(' ')[0]}", snapshot(number), at=minute(number))
    return Step(name, effect, lambda svix_id: outcome_of(event, svix_id=svix_id))


def request(name: str, number: int) -> Step:
    return Step(name, lambda: sign_in(number), lambda _: sign_in(number))


DELETION = envelope("user.deleted", {"id": "user_1", "deleted": True}, at=minute(5))
STEPS = (
    webhook("created", 0),
    webhook("updated 1", 1),
    webhook("updated 2", 2),
    webhook("updated 3", 3),
    request("token old", 0),
    request("token new", 3),
    Step(
        "deleted",
        lambda: delete_user("user_1", at=minute(5)),
        lambda svix_id: outcome_of(DELETION, svix_id=svix_id),
    ),
)


class Table:
    """The table of users, which can be set to any state that was reached before."""

    def __init__(self) -> None:
        self.rows: dict[State, list[Row]] = {(): []}

    def apply(self, state: State, step: Step) -> State:
        User.objects.all()._raw_delete("default")
        User.objects.bulk_create([User(**row) for row in self.rows[state]])
        step.effect()
        rows: list[Row] = [dict(row) for row in User.objects.values()]
        facts = [(name, repr(value)) for row in rows for name, value in row.items() if name in COMPARED]
        reached = tuple(sorted(facts))
        self.rows.setdefault(reached, rows)
        assert len(rows) == 1
        return reached


COMPARED = (*VISIBLE, "clerk_id", "field_versions", "is_active")


def visible(state: State) -> Row:
    facts = {name: value for name, value in state if name in VISIBLE}
    # The other columns of a deleted row depend on the order and are not used.
    return (
        facts
        if facts["deleted_by"] == "None"
        else {name: facts[name] for name in ("deleted_at", "deleted_by")}
    )


def test_every_order_of_every_subset_ends_in_the_same_row() -> None:
    """Cover all 5,040 orders with any repeats by states instead of one by one.

    The effect of a step depends only on the stored row. So for each set of applied steps it is enough to
    know every row that an order of them, with repeats, can end in, and to apply each next step to these.
    """
    table = Table()
    reachable: dict[frozenset[Step], set[State]] = {frozenset(): {()}}
    for applied in _sets_by_size(STEPS):
        states = reachable[applied]
        _add_repeats(table, states, applied)
        assert len({repr(visible(state)) for state in states if state}) <= 1, [step.name for step in applied]
        for step in set(STEPS) - applied:
            for state in states:
                reachable.setdefault(applied | {step}, set()).add(table.apply(state, step))
    final = reachable[frozenset(STEPS)]
    assert {visible(state)["deleted_by"] for state in final} == {repr("clerk")}


def _sets_by_size(steps: tuple[Step, ...]) -> Iterator[frozenset[Step]]:
    masks = sorted(range(1 << len(steps)), key=int.bit_count)
    for mask in masks:
        yield frozenset(step for place, step in enumerate(steps) if mask >> place & 1)


def _add_repeats(table: Table, states: set[State], applied: frozenset[Step]) -> None:
    waiting = [state for state in states if state]
    while waiting:
        state = waiting.pop()
        for step in applied:
            reached = table.apply(state, step)
            if reached not in states:
                states.add(reached)
                waiting.append(reached)


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "deleted"])
def test_sampled_orders_of_deliveries_end_in_the_expected_row(*, alive: bool) -> None:
    steps = [step for step in STEPS if not (alive and step.name == "deleted")]
    for seed in range(100):
        generator = random.Random(seed)  # noqa: S311 - repeatable, not secret
        ids = {step: next_id() for step in steps}
        history = generator.sample(steps * 2, 2 * len(steps))
        User.objects.all()._raw_delete("default")
        for step in history:
            step.deliver(ids[step])
        row = User.objects.get()
        assert (row.deleted_by == "clerk") is not alive
        if alive:
            seen = {name: getattr(row, name) for name in VERSIONS[-1]}
            assert seen == VERSIONS[-1], [step.name for step in history]
