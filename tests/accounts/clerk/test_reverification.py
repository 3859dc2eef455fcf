"""Which ages of the factors meet a requirement; the table follows Clerk's `authorization.ts`."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.clerk.reverification import parse_reverification
from accounts.clerk.session import FactorAges

# Requirement, ages that meet it, ages that do not.
TABLE: list[tuple[Any, list[FactorAges], list[FactorAges]]] = [
    (
        "strict",
        [(99, 9), (0, 0), (9, None), (None, 9)],
        [(0, 10), (10, None), (None, 10), (0, 11)],
    ),
    ("moderate", [(99, 59), (59, None)], [(0, 60), (60, None)]),
    ("lax", [(9999, 1439), (1439, None)], [(0, 1440), (1440, None)]),
    (
        "strict_mfa",
        [(9, 9), (9, None)],
        [(10, 9), (9, 10), (None, 9), (10, None)],
    ),
    (("first_factor", 5), [(4, 99), (4, None), (4.9, None)], [(5, 0), (None, 0), (5, None)]),
    (("second_factor", 5), [(99, 4), (4, None), (None, 4)], [(0, 5), (5, None)]),
    (("multi_factor", 5), [(4, 4), (4, None)], [(5, 4), (4, 5), (None, 4)]),
]
CASES = [
    (level, ages, is_met)
    for level, *columns in TABLE
    for is_met, column in zip((True, False), columns, strict=True)
    for ages in column
]


@pytest.mark.parametrize(("level", "ages", "is_met"), CASES)
def test_requirement_is_met_or_not(level: Any, ages: FactorAges, *, is_met: bool) -> None:
    assert parse_reverification(level).is_met_by(ages) is is_met


@pytest.mark.parametrize("level", [row[0] for row in TABLE])
@pytest.mark.parametrize("ages", [None, (None, None)])
def test_unknown_ages_and_no_factor_are_refused(level: Any, ages: FactorAges | None) -> None:
    assert parse_reverification(level).is_met_by(ages) is False


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        *((name, name) for name in ("strict_mfa", "strict", "moderate", "lax")),
        (("second_factor", 30), {"level": "second_factor", "afterMinutes": 30}),
        (("first_factor", 1), {"level": "first_factor", "afterMinutes": 1}),
    ],
)
def test_hint_is_what_the_frontend_hook_expects(level: Any, wanted: object) -> None:
    assert parse_reverification(level).hint == {
        "type": "forbidden",
        "reason": "reverification-error",
        "metadata": {"reverification": wanted},
    }


@pytest.mark.parametrize(
    "level",
    [
        *("", "Strict", "second_factor", None, 10, ()),
        *(("strict", 10), ("second_factor",), ("second_factor", 10, 1), ["second_factor", 10]),
        *(("second_factor", 0), ("second_factor", -1), ("second_factor", 1.5), ("second_factor", True)),
        ("second_factor", "10"),
    ],
)
def test_other_levels_are_an_error_that_names_the_levels(level: Any) -> None:
    with pytest.raises(ValueError, match="use one of strict_mfa, strict, moderate, lax"):
        parse_reverification(level)
