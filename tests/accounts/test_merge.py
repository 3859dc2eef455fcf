"""The merge rule, sentence by sentence, and then by hypothesis: any order of the truth ends in the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.clerk.profiles import FIELDS, ClerkProfile, Source, Value
from accounts.merge import Merged, Version, merge

EMPTY: dict[str, Value] = {
    "email": None,
    "email_verified": False,
    "first_name": "",
    "last_name": "",
    "image_url": "",
    "banned": False,
}
T = 1_800_000_000_000
CLAIMS, WEBHOOK, API = Source.CLAIMS, Source.WEBHOOK, Source.API


@dataclass
class Row:
    """A row as the merge sees it."""

    values: dict[str, Value] = field(default_factory=lambda: dict(EMPTY))
    versions: dict[str, Version] = field(default_factory=dict)

    def take(self, profile: ClerkProfile) -> Merged:
        merged = merge(self.values, self.versions, profile)
        self.values |= merged.values
        if merged.versions is not None:
            self.versions = dict(merged.versions)
        return merged


def said(source: Source, at: int, *, true_until: int | None = None, **values: Any) -> ClerkProfile:
    return ClerkProfile(clerk_id="user_a", source=source, at=at, values=values, true_until=true_until)


def after(*profiles: ClerkProfile) -> Row:
    row = Row()
    for profile in profiles:
        row.take(profile)
    return row


# Sentences


def test_the_later_word_counts_in_either_order() -> None:
    early, late = said(WEBHOOK, T, first_name="Ada"), said(WEBHOOK, T + 1, first_name="Augusta")
    assert after(early, late).values["first_name"] == after(late, early).values["first_name"] == "Augusta"


def test_what_a_source_does_not_say_stays() -> None:
    row = after(said(WEBHOOK, T, first_name="Ada", last_name="King"), said(CLAIMS, T + 1000, first_name="A"))
    assert (row.values["first_name"], row.values["last_name"]) == ("A", "King")


@pytest.mark.parametrize(("low", "high"), [(CLAIMS, WEBHOOK), (WEBHOOK, API), (CLAIMS, API)])
def test_at_the_same_moment_the_rank_decides(low: Source, high: Source) -> None:
    one, other = said(low, T, first_name="Z"), said(high, T, first_name="A")
    assert after(one, other).values["first_name"] == after(other, one).values["first_name"] == "A"


@pytest.mark.parametrize(
    ("name", "one", "other", "kept"),
    [
        ("first_name", "Ada", "Zoe", "Zoe"),
        ("first_name", "", "Ada", "Ada"),
        ("image_url", "https://a.test", "https://b.test", "https://b.test"),
        ("banned", True, False, True),
    ],
)
def test_at_equal_versions_the_greater_value_counts(name: str, one: Any, other: Any, kept: Value) -> None:
    first, second = said(WEBHOOK, T, **{name: one}), said(WEBHOOK, T, **{name: other})
    assert after(first, second).values[name] == after(second, first).values[name] == kept


def test_at_equal_versions_an_address_is_not_verified() -> None:
    yes = said(WEBHOOK, T, email="a@b.test", email_verified=True)
    no = said(WEBHOOK, T, email="a@b.test", email_verified=False)
    assert after(yes, no).values["email_verified"] is after(no, yes).values["email_verified"] is False


def test_a_snapshot_raises_the_version_of_an_equal_value_and_writes_no_value() -> None:
    row = after(said(WEBHOOK, T, first_name="Ada"))
    merged = row.take(said(WEBHOOK, T + 5, first_name="Ada"))
    assert (merged.values, merged.stale) == ({}, False)
    assert merged.versions == {"first_name": (T + 5, WEBHOOK)}


def test_a_b_a_delivered_as_one_three_two_ends_at_a() -> None:
    history = [said(WEBHOOK, T + n, first_name=name) for n, name in enumerate(["Ada", "Bea", "Ada"])]
    assert after(history[0], history[2], history[1]).values["first_name"] == "Ada"


def test_claims_that_say_the_same_write_nothing_at_all() -> None:
    merged = after(said(WEBHOOK, T, first_name="Ada")).take(said(CLAIMS, T + 9_000, first_name="Ada"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_the_same_time_and_value_write_nothing_whatever_the_rank(source: Source) -> None:
    merged = after(said(WEBHOOK, T, first_name="Ada")).take(said(source, T, first_name="Ada"))
    assert (merged.values, merged.versions) == ({}, None)


@pytest.mark.parametrize("source", Source)
def test_an_older_word_is_stale(source: Source) -> None:
    merged = after(said(API, T, first_name="Ada")).take(said(source, T - 1000, first_name="Zoe"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, True)


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_in_claims_clears_only_what_claims_had_brought(nothing: Value) -> None:
    from_claims = after(said(CLAIMS, T, first_name="Ada"))
    from_claims.take(said(CLAIMS, T + 1000, first_name=nothing))
    assert not from_claims.values["first_name"]
    for source in (WEBHOOK, API):
        row = after(said(source, T, first_name="Ada"))
        assert row.take(said(CLAIMS, T + 1000, first_name=nothing)).values == {}
        assert row.values["first_name"] == "Ada"


def test_an_api_answer_mends_a_wrong_value_that_came_in_between() -> None:
    row = after(said(API, T, first_name="Ada"), said(CLAIMS, T + 10_000, first_name="typo"))
    merged = row.take(said(API, T, true_until=T + 20_000, first_name="Ada"))
    assert merged.values == {"first_name": "Ada"}
    assert row.versions["first_name"] == (T + 20_000, API)


def test_an_api_answer_does_not_undo_what_came_after_it() -> None:
    row = after(said(API, T, first_name="Ada"), said(WEBHOOK, T + 30_000, first_name="Zoe"))
    assert row.take(said(API, T, true_until=T + 20_000, first_name="Ada")).values == {}


def test_an_api_answer_is_as_old_as_its_user_where_nothing_is_to_be_mended() -> None:
    assert after(said(API, T, true_until=T + 20_000, first_name="Ada")).versions["first_name"] == (T, API)


def test_an_equal_value_of_the_api_is_not_taken_for_later_than_it_is() -> None:
    row = after(said(API, T, first_name="Ada"))
    assert row.take(said(API, T, true_until=T + 20_000, first_name="Ada")).versions is None


def test_a_new_address_without_a_word_on_verification_is_not_verified() -> None:
    row = after(
        said(WEBHOOK, T, email="a@b.test", email_verified=True), said(CLAIMS, T + 1000, email="c@d.test")
    )
    assert row.values["email_verified"] is False
    # Whoever names that address may say more, however early it was.
    row.take(said(WEBHOOK, T + 500, email="c@d.test", email_verified=True))
    assert row.values["email_verified"] is True


@pytest.mark.parametrize("email", [{}, {"email": "other@b.test"}])
def test_a_word_on_verification_that_does_not_name_the_stored_address_is_ignored(email: Any) -> None:
    row = after(said(WEBHOOK, T, email="a@b.test", email_verified=False))
    row.take(said(WEBHOOK, T - 1, email_verified=True, **email))
    row.take(said(CLAIMS, T - 1000, email_verified=True, **email))
    assert row.values["email_verified"] is False


def test_an_address_that_goes_takes_its_verification_along() -> None:
    row = after(said(WEBHOOK, T, email="a@b.test", email_verified=True))
    row.take(said(WEBHOOK, T + 1, email=None, email_verified=False))
    assert (row.values["email"], row.values["email_verified"]) == (None, False)


# Histories


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
    names = draw(st.lists(st.sampled_from(FIELDS[:-1]), unique=True))
    return {name: None if state.values[name] == "" else state.values[name] for name in names}


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

    news = [said(WEBHOOK, state.since, **state.values) for state in states]
    # Whole seconds: what a token tells may be younger than its version says.
    news += [
        said(CLAIMS, instant // 1000 * 1000, **_told(draw, state))
        for instant in draw(st.lists(st.integers(T, end), max_size=5))
        if (state := at(instant))
    ]
    news += [
        said(API, state.since, true_until=instant - 1000, **state.values)
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
    for profile in data.draw(st.permutations(news)):
        row.take(profile)
        assert not row.values["email_verified"] or row.values["email"] in verified


SNAPSHOTS = st.builds(
    lambda source, tick, name, mail: said(
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
    for profile in data.draw(st.permutations(news)):
        before = dict(row.versions)
        row.take(profile)
        assert all(
            row.versions[name] >= version for name, version in before.items() if name != "email_verified"
        )
        again = row.take(profile)
        assert (again.values, again.versions) == ({}, None)
