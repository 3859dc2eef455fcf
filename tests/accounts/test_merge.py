"""The merge rule, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.clerk.profiles import Source, Value
from tests.accounts.profiles import T, profile
from tests.accounts.registers import API, CLAIMS, EMPTY, WEBHOOK, after


def test_the_later_word_counts_in_either_order() -> None:
    early, late = profile(WEBHOOK, T, first_name="Ada"), profile(WEBHOOK, T + 1, first_name="Augusta")
    assert after(early, late).values["first_name"] == after(late, early).values["first_name"] == "Augusta"


def test_what_a_source_does_not_say_stays() -> None:
    row = after(
        profile(WEBHOOK, T, first_name="Ada", last_name="King"), profile(CLAIMS, T + 1000, first_name="A")
    )
    assert (row.values["first_name"], row.values["last_name"]) == ("A", "King")


@pytest.mark.parametrize(("low", "high"), [(CLAIMS, WEBHOOK), (WEBHOOK, API), (CLAIMS, API)])
def test_at_the_same_moment_the_rank_decides(low: Source, high: Source) -> None:
    one, other = profile(low, T, first_name="Z"), profile(high, T, first_name="A")
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
    first, second = profile(WEBHOOK, T, **{name: one}), profile(WEBHOOK, T, **{name: other})
    assert after(first, second).values[name] == after(second, first).values[name] == kept


def test_at_equal_versions_the_value_alone_is_written() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).take(profile(WEBHOOK, T, first_name="Zoe"))
    assert (merged.values, merged.versions) == ({"first_name": "Zoe"}, None)


def test_at_equal_versions_an_address_is_not_verified() -> None:
    yes = profile(WEBHOOK, T, email="a@b.test", email_verified=True)
    no = profile(WEBHOOK, T, email="a@b.test", email_verified=False)
    assert after(yes, no).values["email_verified"] is after(no, yes).values["email_verified"] is False


def test_a_snapshot_raises_the_version_of_an_equal_value_and_writes_no_value() -> None:
    row = after(profile(WEBHOOK, T, first_name="Ada"))
    merged = row.take(profile(WEBHOOK, T + 5, first_name="Ada"))
    assert (merged.values, merged.stale) == ({}, False)
    assert merged.versions == {"first_name": (T + 5, WEBHOOK)}


def test_a_b_a_delivered_as_one_three_two_ends_at_a() -> None:
    history = [profile(WEBHOOK, T + n, first_name=name) for n, name in enumerate(["Ada", "Bea", "Ada"])]
    assert after(history[0], history[2], history[1]).values["first_name"] == "Ada"


def test_claims_that_say_the_same_write_nothing_at_all() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).take(profile(CLAIMS, T + 9_000, first_name="Ada"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_the_same_time_and_value_write_nothing_whatever_the_rank(source: Source) -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).take(profile(source, T, first_name="Ada"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_an_older_snapshot_of_the_same_is_stale(source: Source) -> None:
    same: dict[str, Any] = {"first_name": "Ada", "email": "a@b.test", "email_verified": True}
    assert after(profile(API, T, **same)).take(profile(source, T - 1000, **same)).stale


def test_an_older_snapshot_of_somebody_without_an_address_is_stale() -> None:
    same: dict[str, Any] = {"first_name": "Ada", "email": None, "email_verified": False}
    assert after(profile(API, T, **same)).take(profile(WEBHOOK, T - 1000, **same)).stale


def test_a_snapshot_that_wins_one_field_and_loses_another_is_not_stale() -> None:
    row = after(profile(WEBHOOK, T, first_name="Ada"), profile(CLAIMS, T + 9_000, last_name="King"))
    merged = row.take(profile(WEBHOOK, T + 5, first_name="Bea", last_name="Old"))
    assert (merged.values, merged.stale) == ({"first_name": "Bea"}, False)


def test_nothing_said_is_not_stale() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).take(profile(CLAIMS, T - 9_000))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", Source)
def test_an_older_word_is_stale(source: Source) -> None:
    merged = after(profile(API, T, first_name="Ada")).take(profile(source, T - 1000, first_name="Zoe"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, True)


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_in_claims_clears_what_claims_had_brought(nothing: Value) -> None:
    row = after(profile(CLAIMS, T, first_name="Ada"), profile(CLAIMS, T + 1000, first_name=nothing))
    assert row.values["first_name"] == ""


def test_null_clears_each_field_to_its_own_nothing() -> None:
    values: dict[str, Any] = {
        "email": "a@b.test",
        "email_verified": True,
        "first_name": "Ada",
        "image_url": "https://a.test",
    }
    nulls: dict[str, Any] = dict.fromkeys(values)
    row = after(profile(CLAIMS, T, **values), profile(CLAIMS, T + 1000, **nulls))
    assert row.values == EMPTY


def test_null_takes_a_verification_away_that_claims_had_brought() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test", email_verified=True))
    row.take(profile(CLAIMS, T + 1000, email="a@b.test", email_verified=None))
    assert row.values["email_verified"] is False


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_null_in_claims_says_nothing_of_what_others_had_brought(source: Source, nothing: Value) -> None:
    values: dict[str, Any] = {"email": "a@b.test", "email_verified": True, "first_name": "Ada"}
    row = after(profile(source, T, **values))
    merged = row.take(profile(CLAIMS, T + 1000, **dict.fromkeys(values, nothing)))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


def test_null_in_older_claims_clears_nothing() -> None:
    row = after(profile(CLAIMS, T, first_name="Ada"))
    assert row.take(profile(CLAIMS, T - 1000, first_name=None)).values == {}


def test_null_where_there_is_nothing_writes_nothing() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test", email_verified=False))
    merged = row.take(profile(CLAIMS, T + 1000, email="a@b.test", email_verified=None, first_name=None))
    assert (merged.values, merged.versions) == ({}, None)


def test_an_api_answer_mends_a_wrong_value_that_came_in_between() -> None:
    row = after(profile(API, T, first_name="Ada"), profile(CLAIMS, T + 10_000, first_name="typo"))
    merged = row.take(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert merged.values == {"first_name": "Ada"}
    assert row.versions["first_name"] == (T + 20_000, API)


def test_an_api_answer_does_not_undo_what_came_after_it() -> None:
    row = after(profile(API, T, first_name="Ada"), profile(WEBHOOK, T + 30_000, first_name="Zoe"))
    assert row.take(profile(API, T, true_until=T + 20_000, first_name="Ada")).values == {}


@pytest.mark.parametrize(("stored_at", "mended"), [(T, True), (T + 20_000, True), (T + 20_001, False)])
def test_an_api_answer_mends_up_to_its_own_moment(stored_at: int, mended: bool) -> None:  # noqa: FBT001
    row = after(profile(WEBHOOK, stored_at, first_name="Zoe"))
    row.take(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert (row.values["first_name"] == "Ada") is mended


def test_an_api_answer_without_a_date_is_as_old_as_its_user() -> None:
    row = after(profile(CLAIMS, T + 10_000, first_name="typo"))
    assert row.take(profile(API, T, first_name="Ada")).values == {}


def test_an_api_answer_is_as_old_as_its_user_where_nothing_is_to_be_mended() -> None:
    assert after(profile(API, T, true_until=T + 20_000, first_name="Ada")).versions["first_name"] == (T, API)


def test_an_equal_value_of_the_api_is_not_taken_for_later_than_it_is() -> None:
    row = after(profile(API, T, first_name="Ada"))
    assert row.take(profile(API, T, true_until=T + 20_000, first_name="Ada")).versions is None


def test_a_new_address_without_a_word_on_verification_is_not_verified() -> None:
    row = after(
        profile(WEBHOOK, T, email="a@b.test", email_verified=True),
        profile(CLAIMS, T + 1000, email="c@d.test"),
    )
    assert row.values["email_verified"] is False
    # Whoever names that address may say more, however early it was.
    row.take(profile(WEBHOOK, T + 500, email="c@d.test", email_verified=True))
    assert row.values["email_verified"] is True


@pytest.mark.parametrize("email", [{}, {"email": "other@b.test"}])
def test_a_word_on_verification_that_does_not_name_the_stored_address_is_ignored(email: Any) -> None:
    row = after(profile(WEBHOOK, T, email="a@b.test", email_verified=False))
    row.take(profile(WEBHOOK, T - 1, email_verified=True, **email))
    row.take(profile(CLAIMS, T - 1000, email_verified=True, **email))
    assert row.values["email_verified"] is False


@pytest.mark.parametrize("source", Source)
def test_no_address_is_never_verified(source: Source) -> None:
    row = after(profile(source, T, email=None, email_verified=True))
    assert row.values["email_verified"] is False


def test_verification_does_not_move_to_another_address() -> None:
    row = after(profile(API, T, email="a@b.test", email_verified=True))
    row.take(profile(WEBHOOK, T + 1, email="c@d.test", email_verified=False))
    row.take(profile(CLAIMS, T + 9_000, email="a@b.test"))
    assert (row.values["email"], row.values["email_verified"]) == ("a@b.test", False)


def test_an_address_that_goes_takes_its_verification_along() -> None:
    row = after(profile(WEBHOOK, T, email="a@b.test", email_verified=True))
    row.take(profile(WEBHOOK, T + 1, email=None, email_verified=False))
    assert (row.values["email"], row.values["email_verified"]) == (None, False)


def test_an_answer_that_differs_at_the_very_moment_of_the_row_counts_as_of_its_date() -> None:
    row = after(profile(WEBHOOK, T, first_name="Zoe"))
    row.take(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert (row.values["first_name"], row.versions["first_name"]) == ("Ada", (T + 20_000, API))


def test_a_new_address_without_a_word_on_verification_leaves_the_version_of_nothing() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test"))
    assert row.versions == {"email": (T, CLAIMS), "email_verified": (0, 0)}


def test_a_word_that_lost_is_stale_whatever_else_was_said() -> None:
    row = after(
        profile(CLAIMS, T - 5, image_url="https://a.test"),
        profile(WEBHOOK, T + 10, first_name="Zoe", last_name="King"),
    )
    merged = row.take(profile(CLAIMS, T, first_name="Ada", last_name="King", image_url="https://a.test"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, True)
