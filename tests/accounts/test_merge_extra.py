"""The merge of fields in the column `extra`: by the same rule as the columns."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from accounts.merge import merge
from tests.accounts.profiles import T, profile
from tests.accounts.registers import API, CLAIMS, EMPTY, WEBHOOK, Row, after


def test_first_value_is_stored_with_its_version() -> None:
    row = after(profile(WEBHOOK, T, locale="en"))
    assert (row.values, row.versions) == (EMPTY | {"extra": {"locale": "en"}}, {"locale": (T, WEBHOOK)})


def test_null_of_a_complete_source_is_kept_as_null() -> None:
    assert after(profile(WEBHOOK, T, locale=None)).values["extra"] == {"locale": None}
    assert after(profile(API, T, locale="en"), profile(WEBHOOK, T + 1, locale=None)).values["extra"] == {
        "locale": None
    }


def test_empty_claim_clears_only_a_value_from_claims() -> None:
    nothing = after(profile(CLAIMS, T, locale=None))
    assert (nothing.values, nothing.versions) == (EMPTY, {})
    kept = after(profile(WEBHOOK, T, locale="en"), profile(CLAIMS, T + 1000, locale=None))
    assert kept.values["extra"] == {"locale": "en"}
    cleared = after(profile(CLAIMS, T, locale="en"), profile(CLAIMS, T + 1000, locale=None))
    assert cleared.values["extra"] == {"locale": None}


def test_each_field_has_its_own_version() -> None:
    row = after(
        profile(WEBHOOK, T, locale="en", username="ada"),
        profile(CLAIMS, T + 1000, username="grace"),
        profile(API, T + 500, locale="fr", username="alan"),
    )
    assert row.values["extra"] == {"locale": "fr", "username": "grace"}
    assert row.versions == {"locale": (T + 500, API), "username": (T + 1000, CLAIMS)}


def test_fields_that_a_profile_does_not_have_stay() -> None:
    row = Row(values=EMPTY | {"extra": {"retired": 1, "locale": "en"}}, versions={"locale": (T, WEBHOOK)})
    row.apply(profile(WEBHOOK, T + 1, timezone="Europe/London"))
    assert row.values["extra"] == {"retired": 1, "locale": "en", "timezone": "Europe/London"}


def test_older_value_is_stale_and_changes_nothing() -> None:
    row = after(profile(WEBHOOK, T + 1, locale="en"))
    result = row.apply(profile(API, T, locale="fr"))
    assert (result.values, result.versions, result.stale) == ({}, None, True)


def test_equal_value_raises_the_version_of_a_complete_source_without_a_change_of_the_column() -> None:
    row = after(profile(WEBHOOK, T, public_metadata={"a": 1, "b": 2}))
    result = row.apply(profile(WEBHOOK, T + 1, public_metadata={"b": 2, "a": 1}))
    assert (result.values, result.versions) == ({}, {"public_metadata": (T + 1, WEBHOOK)})
    result = row.apply(profile(CLAIMS, T + 5000, public_metadata={"b": 2, "a": 1}))
    assert (result.values, result.versions, result.stale) == ({}, None, False)


def test_true_and_one_are_different_values() -> None:
    row = after(profile(WEBHOOK, T, public_metadata={"a": 1}))
    result = row.apply(profile(WEBHOOK, T + 1, public_metadata={"a": True}))
    assert result.values["extra"]["public_metadata"]["a"] is True


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("locale", ["en", "fr", None]),
        ("public_metadata", [{"a": 1}, {"a": True}, {"a": 2, "b": 1}, None]),
        ("public_metadata", [{}, None]),
    ],
)
def test_equal_versions_end_in_the_same_value_in_any_order(name: str, values: list[Any]) -> None:
    ends = [
        str(after(*(profile(WEBHOOK, T, **{name: each}) for each in order)).values)
        for order in permutations(values)
    ]
    assert len(set(ends)) == 1


def test_any_value_replaces_a_missing_one_of_the_same_version() -> None:
    """An operator may have emptied the column."""
    row = Row(versions={"locale": (T, WEBHOOK)})
    row.apply(profile(WEBHOOK, T, locale=None))
    assert row.values["extra"] == {"locale": None}


def test_api_answer_corrects_a_wrong_claim() -> None:
    row = after(
        profile(CLAIMS, T + 5_000, public_metadata={"plan": "wrong"}),
        profile(API, T, true_until=T + 9_000, public_metadata={"plan": "pro"}),
    )
    assert row.values["extra"] == {"public_metadata": {"plan": "pro"}}
    assert row.versions == {"public_metadata": (T + 9_000, API)}


def test_arguments_are_not_changed() -> None:
    values, versions = EMPTY | {"extra": {"locale": "en"}}, {"locale": (T, WEBHOOK)}
    merge(values, versions, profile(WEBHOOK, T + 1, locale="fr"))
    assert (values, versions) == (EMPTY | {"extra": {"locale": "en"}}, {"locale": (T, WEBHOOK)})


def test_field_of_the_same_name_in_extra_does_not_hide_a_column() -> None:
    row = Row(values=EMPTY | {"email": "a@x.test", "extra": {"email": "b@x.test"}})
    result = row.apply(profile(WEBHOOK, T, email="a@x.test", locale="en"))
    assert result.values == {"extra": {"email": "b@x.test", "locale": "en"}}
