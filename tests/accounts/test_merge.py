"""The merge rule, one sentence per test."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.clerk.fields import Value
from accounts.clerk.profiles import Source
from tests.accounts.profiles import T, profile
from tests.accounts.registers import API, CLAIMS, EMPTY, WEBHOOK, after


def test_later_version_wins_in_either_order() -> None:
    early, late = profile(WEBHOOK, T, first_name="Ada"), profile(WEBHOOK, T + 1, first_name="Augusta")
    assert after(early, late).values["first_name"] == after(late, early).values["first_name"] == "Augusta"


def test_absent_fields_stay() -> None:
    row = after(
        profile(WEBHOOK, T, first_name="Ada", last_name="King"), profile(CLAIMS, T + 1000, first_name="A")
    )
    assert (row.values["first_name"], row.values["last_name"]) == ("A", "King")


@pytest.mark.parametrize(("low", "high"), [(CLAIMS, WEBHOOK), (WEBHOOK, API), (CLAIMS, API)])
def test_rank_decides_at_the_same_time(low: Source, high: Source) -> None:
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
def test_greater_value_wins_at_equal_versions(name: str, one: Any, other: Any, kept: Value) -> None:
    first, second = profile(WEBHOOK, T, **{name: one}), profile(WEBHOOK, T, **{name: other})
    assert after(first, second).values[name] == after(second, first).values[name] == kept


def test_only_the_value_is_written_at_equal_versions() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).apply(profile(WEBHOOK, T, first_name="Zoe"))
    assert (merged.values, merged.versions) == ({"first_name": "Zoe"}, None)


def test_unverified_wins_at_equal_versions() -> None:
    yes = profile(WEBHOOK, T, email="a@b.test", email_verified=True)
    no = profile(WEBHOOK, T, email="a@b.test", email_verified=False)
    assert after(yes, no).values["email_verified"] is after(no, yes).values["email_verified"] is False


def test_snapshot_raises_the_version_of_an_equal_value() -> None:
    row = after(profile(WEBHOOK, T, first_name="Ada"))
    merged = row.apply(profile(WEBHOOK, T + 5, first_name="Ada"))
    assert (merged.values, merged.stale) == ({}, False)
    assert merged.versions == {"first_name": (T + 5, WEBHOOK)}


def test_a_b_a_delivered_as_1_3_2_ends_at_a() -> None:
    history = [profile(WEBHOOK, T + n, first_name=name) for n, name in enumerate(["Ada", "Bea", "Ada"])]
    assert after(history[0], history[2], history[1]).values["first_name"] == "Ada"


def test_equal_claims_write_nothing() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).apply(profile(CLAIMS, T + 9_000, first_name="Ada"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_same_time_and_value_write_nothing(source: Source) -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).apply(profile(source, T, first_name="Ada"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_older_snapshot_of_equal_values_is_stale(source: Source) -> None:
    same: dict[str, Any] = {"first_name": "Ada", "email": "a@b.test", "email_verified": True}
    assert after(profile(API, T, **same)).apply(profile(source, T - 1000, **same)).stale


def test_older_snapshot_without_an_address_is_stale() -> None:
    same: dict[str, Any] = {"first_name": "Ada", "email": None, "email_verified": False}
    assert after(profile(API, T, **same)).apply(profile(WEBHOOK, T - 1000, **same)).stale


def test_snapshot_with_one_newer_field_is_not_stale() -> None:
    row = after(profile(WEBHOOK, T, first_name="Ada"), profile(CLAIMS, T + 9_000, last_name="King"))
    merged = row.apply(profile(WEBHOOK, T + 5, first_name="Bea", last_name="Old"))
    assert (merged.values, merged.stale) == ({"first_name": "Bea"}, False)


def test_profile_without_fields_is_not_stale() -> None:
    merged = after(profile(WEBHOOK, T, first_name="Ada")).apply(profile(CLAIMS, T - 9_000))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


@pytest.mark.parametrize("source", Source)
def test_older_profile_is_stale(source: Source) -> None:
    merged = after(profile(API, T, first_name="Ada")).apply(profile(source, T - 1000, first_name="Zoe"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, True)


@pytest.mark.parametrize("empty", [None, ""])
def test_null_claim_clears_a_value_from_claims(empty: Value) -> None:
    row = after(profile(CLAIMS, T, first_name="Ada"), profile(CLAIMS, T + 1000, first_name=empty))
    assert row.values["first_name"] == ""


def test_null_claims_clear_each_field_to_its_empty_value() -> None:
    values: dict[str, Any] = {
        "email": "a@b.test",
        "email_verified": True,
        "first_name": "Ada",
        "image_url": "https://a.test",
    }
    nulls: dict[str, Any] = dict.fromkeys(values)
    row = after(profile(CLAIMS, T, **values), profile(CLAIMS, T + 1000, **nulls))
    assert row.values == EMPTY


def test_null_claim_clears_a_verification_from_claims() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test", email_verified=True))
    row.apply(profile(CLAIMS, T + 1000, email="a@b.test", email_verified=None))
    assert row.values["email_verified"] is False


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_null_claims_keep_values_of_other_sources(source: Source, empty: Value) -> None:
    values: dict[str, Any] = {"email": "a@b.test", "email_verified": True, "first_name": "Ada"}
    row = after(profile(source, T, **values))
    merged = row.apply(profile(CLAIMS, T + 1000, **dict.fromkeys(values, empty)))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, False)


def test_older_null_claim_clears_nothing() -> None:
    row = after(profile(CLAIMS, T, first_name="Ada"))
    assert row.apply(profile(CLAIMS, T - 1000, first_name=None)).values == {}


def test_null_claim_of_an_empty_field_writes_nothing() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test", email_verified=False))
    merged = row.apply(profile(CLAIMS, T + 1000, email="a@b.test", email_verified=None, first_name=None))
    assert (merged.values, merged.versions) == ({}, None)


def test_api_answer_corrects_a_value_before_its_date() -> None:
    row = after(profile(API, T, first_name="Ada"), profile(CLAIMS, T + 10_000, first_name="typo"))
    merged = row.apply(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert merged.values == {"first_name": "Ada"}
    assert row.versions["first_name"] == (T + 20_000, API)


def test_api_answer_keeps_a_value_after_its_date() -> None:
    row = after(profile(API, T, first_name="Ada"), profile(WEBHOOK, T + 30_000, first_name="Zoe"))
    assert row.apply(profile(API, T, true_until=T + 20_000, first_name="Ada")).values == {}


@pytest.mark.parametrize(("stored_at", "is_corrected"), [(T, True), (T + 20_000, True), (T + 20_001, False)])
def test_api_answer_corrects_up_to_its_date(stored_at: int, *, is_corrected: bool) -> None:
    row = after(profile(WEBHOOK, stored_at, first_name="Zoe"))
    row.apply(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert (row.values["first_name"] == "Ada") is is_corrected


def test_api_answer_without_a_date_has_the_time_of_its_user() -> None:
    row = after(profile(CLAIMS, T + 10_000, first_name="typo"))
    assert row.apply(profile(API, T, first_name="Ada")).values == {}


def test_api_answer_for_an_empty_row_has_the_time_of_its_user() -> None:
    assert after(profile(API, T, true_until=T + 20_000, first_name="Ada")).versions["first_name"] == (T, API)


def test_equal_value_from_the_api_keeps_its_version() -> None:
    row = after(profile(API, T, first_name="Ada"))
    assert row.apply(profile(API, T, true_until=T + 20_000, first_name="Ada")).versions is None


def test_new_address_without_a_statement_is_unverified() -> None:
    row = after(
        profile(WEBHOOK, T, email="a@b.test", email_verified=True),
        profile(CLAIMS, T + 1000, email="c@d.test"),
    )
    assert row.values["email_verified"] is False
    # An earlier statement that names the new address may correct it.
    row.apply(profile(WEBHOOK, T + 500, email="c@d.test", email_verified=True))
    assert row.values["email_verified"] is True


@pytest.mark.parametrize("email", [{}, {"email": "other@b.test"}])
def test_verification_of_another_address_is_ignored(email: Any) -> None:
    row = after(profile(WEBHOOK, T, email="a@b.test", email_verified=False))
    row.apply(profile(WEBHOOK, T - 1, email_verified=True, **email))
    row.apply(profile(CLAIMS, T - 1000, email_verified=True, **email))
    assert row.values["email_verified"] is False


@pytest.mark.parametrize("source", Source)
def test_missing_address_is_unverified(source: Source) -> None:
    row = after(profile(source, T, email=None, email_verified=True))
    assert row.values["email_verified"] is False


def test_verification_does_not_move_to_another_address() -> None:
    row = after(profile(API, T, email="a@b.test", email_verified=True))
    row.apply(profile(WEBHOOK, T + 1, email="c@d.test", email_verified=False))
    row.apply(profile(CLAIMS, T + 9_000, email="a@b.test"))
    assert (row.values["email"], row.values["email_verified"]) == ("a@b.test", False)


def test_removed_address_removes_its_verification() -> None:
    row = after(profile(WEBHOOK, T, email="a@b.test", email_verified=True))
    row.apply(profile(WEBHOOK, T + 1, email=None, email_verified=False))
    assert (row.values["email"], row.values["email_verified"]) == (None, False)


def test_different_api_answer_at_the_stored_time_has_its_date() -> None:
    row = after(profile(WEBHOOK, T, first_name="Zoe"))
    row.apply(profile(API, T, true_until=T + 20_000, first_name="Ada"))
    assert (row.values["first_name"], row.versions["first_name"]) == ("Ada", (T + 20_000, API))


def test_new_address_without_a_statement_has_version_zero() -> None:
    row = after(profile(CLAIMS, T, email="a@b.test"))
    assert row.versions == {"email": (T, CLAIMS), "email_verified": (0, 0)}


def test_profile_with_an_older_change_is_stale() -> None:
    row = after(
        profile(CLAIMS, T - 5, image_url="https://a.test"),
        profile(WEBHOOK, T + 10, first_name="Zoe", last_name="King"),
    )
    merged = row.apply(profile(CLAIMS, T, first_name="Ada", last_name="King", image_url="https://a.test"))
    assert (merged.values, merged.versions, merged.stale) == ({}, None, True)
