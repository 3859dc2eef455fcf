"""The merge rule by hypothesis: any order of the truth ends in the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.clerk.profiles import FIELDS, ClerkProfile
from tests.accounts.profiles import T, profile
from tests.accounts.registers import API, CLAIMS, WEBHOOK, Row, after


@dataclass(frozen=True)
class State:
    """What was true of a person from a moment on."""

    since: int
    values: Mapping[str, Any]


EMAILS = st.sampled_from([None, "a@x.test", "b@x.test"])
STATES = st.builds(
    lambda email, verified, first, last, banned: {
        "email": email,
        "email_verified": bool(email and verified),
        "first_name": first,
        "last_name": last,
        "image_url": "",
        "banned": banned,
    },
    EMAILS,
    st.booleans(),
    st.sampled_from(["", "Ada", "Bea"]),
    st.sampled_from(["", "King"]),
    st.booleans(),
)


def _told(draw: st.DrawFn, state: State) -> dict[str, Any]:
    # A template gives null for what is not there, and for the verification of an address that is not there.
    names = draw(st.lists(st.sampled_from(FIELDS[:-1]), unique=True))
    return {name: state.values[name] or draw(st.sampled_from([None, state.values[name]])) for name in names}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[State], list[ClerkProfile]]:
    """Draw what happened, and all that was ever said about it: every snapshot, some tokens, some answers."""
    moment, states = T, []
    for values in draw(st.lists(STATES, min_size=1, max_size=5)):
        moment += draw(st.integers(1, 4_000))
        states.append(State(moment, values))
    end = moment + 5_000

    def at(instant: int) -> State | None:
        return next((state for state in reversed(states) if state.since <= instant), None)

    news = [profile(WEBHOOK, state.since, **state.values) for state in states]
    # Whole seconds: what a token tells may be younger than its version says.
    news += [
        profile(CLAIMS, instant // 1000 * 1000, **_told(draw, state))
        for instant in draw(st.lists(st.integers(T, end), max_size=5))
        if (state := at(instant))
    ]
    news += [
        profile(API, state.since, true_until=instant - 1000, **state.values)
        for instant in draw(st.lists(st.integers(T, end), max_size=3))
        if (state := at(instant))
    ]
    return states, news


@settings(max_examples=1_000, deadline=None)
@given(histories(), st.data())
def test_any_order_of_the_truth_with_repeats_ends_in_the_truth(
    history: tuple[list[State], list[ClerkProfile]], data: st.DataObject
) -> None:
    states, news = history
    repeats = data.draw(st.lists(st.sampled_from(news), max_size=6))
    row = after(*data.draw(st.permutations(news + repeats)))
    assert row.values == states[-1].values


@settings(max_examples=500, deadline=None)
@given(histories(), st.data())
def test_no_address_is_ever_marked_verified_that_nobody_had_verified(
    history: tuple[list[State], list[ClerkProfile]], data: st.DataObject
) -> None:
    states, news = history
    verified = {state.values["email"] for state in states if state.values["email_verified"]}
    row = Row()
    for snapshot in data.draw(st.permutations(news)):
        row.take(snapshot)
        assert not row.values["email_verified"] or row.values["email"] in verified


LIES = st.builds(
    lambda instant, values: profile(CLAIMS, T + instant // 1000 * 1000, **values),
    st.integers(0, 20_000),
    STATES,
)


@settings(max_examples=500, deadline=None)
@given(histories(), st.lists(LIES, max_size=4), st.data())
def test_an_api_answer_given_after_all_lies_mends_them_all(
    history: tuple[list[State], list[ClerkProfile]], lies: list[ClerkProfile], data: st.DataObject
) -> None:
    states, news = history
    row = after(*data.draw(st.permutations(news + lies)))
    row.take(profile(API, states[-1].since, true_until=T + 60_000, **states[-1].values))
    assert row.values == states[-1].values


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
def test_versions_never_fall_and_a_repeat_changes_nothing(
    news: list[ClerkProfile], data: st.DataObject
) -> None:
    row = Row()
    for snapshot in data.draw(st.permutations(news)):
        before = dict(row.versions)
        row.take(snapshot)
        assert all(
            row.versions[name] >= version for name, version in before.items() if name != "email_verified"
        )
        again = row.take(snapshot)
        assert (again.values, again.versions) == ({}, None)
