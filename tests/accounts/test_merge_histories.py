"""The merge rule, by hypothesis: any order of correct profiles ends in the state of Clerk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.clerk.fields import EXTRA, is_equal
from accounts.clerk.profiles import FIELDS, ClerkProfile
from tests.accounts.profiles import T, profile
from tests.accounts.registers import API, CLAIMS, WEBHOOK, Row, after


@dataclass(frozen=True)
class State:
    """The values of a user in Clerk from a moment on."""

    since: int
    values: Mapping[str, Any]


EMAILS = st.sampled_from([None, "a@x.test", "b@x.test"])
METADATA = st.sampled_from([{}, {"a": 1}, {"a": True}, {"b": [1], "a": {"c": None}}])
STATES = st.builds(
    lambda email, verified, first, last, banned, phone, metadata: {
        "email": email,
        "email_verified": bool(email and verified),
        "first_name": first,
        "last_name": last,
        "image_url": "",
        "banned": banned,
        "phone_number": phone,
        "public_metadata": metadata,
    },
    EMAILS,
    st.booleans(),
    st.sampled_from(["", "Ada", "Bea"]),
    st.sampled_from(["", "King"]),
    st.booleans(),
    st.sampled_from([None, "+491", "+492"]),
    METADATA,
)
FED = (*FIELDS[:-1], "phone_number", "public_metadata")


def columns(state: State) -> dict[str, Any]:
    """Return the columns of the row that has these values."""
    extra = {name: state.values[name] for name in EXTRA if name in state.values}
    return {name: state.values[name] for name in FIELDS} | {"extra": extra}


def _draw_claims(draw: st.DrawFn, state: State) -> dict[str, Any]:
    # A session token may contain null for an empty field and for the verification of a missing address.
    names = draw(st.lists(st.sampled_from(FED), unique=True))
    return {
        name: value if value or value == {} else draw(st.sampled_from([None, value]))
        for name in names
        for value in [state.values[name]]
    }


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[State], list[ClerkProfile]]:
    """Draw the states of a user, and profiles of them: all webhooks, some tokens, some API answers."""
    moment, states = T, []
    for values in draw(st.lists(STATES, min_size=1, max_size=5)):
        moment += draw(st.integers(1, 4_000))
        states.append(State(moment, values))
    end = moment + 5_000

    def at(instant: int) -> State | None:
        return next((state for state in reversed(states) if state.since <= instant), None)

    profiles = [profile(WEBHOOK, state.since, **state.values) for state in states]
    # Whole seconds: the claims of a token may be younger than their version.
    profiles += [
        profile(CLAIMS, instant // 1000 * 1000, **_draw_claims(draw, state))
        for instant in draw(st.lists(st.integers(T, end), max_size=5))
        if (state := at(instant))
    ]
    profiles += [
        profile(API, state.since, true_until=instant - 1000, **state.values)
        for instant in draw(st.lists(st.integers(T, end), max_size=3))
        if (state := at(instant))
    ]
    return states, profiles


@settings(max_examples=1_000, deadline=None)
@given(histories(), st.data())
def test_any_order_with_repeats_ends_in_the_state_of_clerk(
    history: tuple[list[State], list[ClerkProfile]], data: st.DataObject
) -> None:
    states, profiles = history
    repeats = data.draw(st.lists(st.sampled_from(profiles), max_size=6))
    row = after(*data.draw(st.permutations(profiles + repeats)))
    assert is_equal(row.values, columns(states[-1]))


@settings(max_examples=500, deadline=None)
@given(histories(), st.data())
def test_only_verified_addresses_are_marked_verified(
    history: tuple[list[State], list[ClerkProfile]], data: st.DataObject
) -> None:
    states, profiles = history
    verified = {state.values["email"] for state in states if state.values["email_verified"]}
    row = Row()
    for snapshot in data.draw(st.permutations(profiles)):
        row.apply(snapshot)
        assert not row.values["email_verified"] or row.values["email"] in verified


WRONG_CLAIMS = st.builds(
    lambda instant, values: profile(CLAIMS, T + instant // 1000 * 1000, **values),
    st.integers(0, 20_000),
    STATES,
)


@settings(max_examples=500, deadline=None)
@given(histories(), st.lists(WRONG_CLAIMS, max_size=4), st.data())
def test_later_api_answer_corrects_wrong_claims(
    history: tuple[list[State], list[ClerkProfile]], wrong: list[ClerkProfile], data: st.DataObject
) -> None:
    states, profiles = history
    row = after(*data.draw(st.permutations(profiles + wrong)))
    row.apply(profile(API, states[-1].since, true_until=T + 60_000, **states[-1].values))
    assert is_equal(row.values, columns(states[-1]))


SNAPSHOTS = st.builds(
    lambda source, tick, name, mail: profile(
        source, T + tick, first_name=name, email=mail, email_verified=mail is not None
    ),
    st.sampled_from([WEBHOOK, API]),
    st.integers(0, 3),
    st.sampled_from(["Ada", "Bea", "Cleo"]),
    EMAILS,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(SNAPSHOTS, min_size=1, max_size=5, unique_by=lambda each: (each.at, each.source)), st.data())
def test_versions_never_decrease_and_repeats_change_nothing(
    profiles: list[ClerkProfile], data: st.DataObject
) -> None:
    row = Row()
    for snapshot in data.draw(st.permutations(profiles)):
        before = dict(row.versions)
        row.apply(snapshot)
        assert all(
            row.versions[name] >= version for name, version in before.items() if name != "email_verified"
        )
        again = row.apply(snapshot)
        assert (again.values, again.versions) == ({}, None)
