"""Times that Clerk sends."""

from __future__ import annotations

import pytest

from accounts.clerk.times import parse_http_date, plausible_milliseconds, to_milliseconds


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (1_800_000_000_000.0, 1_800_000_000_000),
        (1_800_000_300_000, 1_800_000_300_000),
        (1_800_000_300_001, None),
        (100_000_000_001, 100_000_000_001),
        (100_000_000_000, None),
        (1_799_999_999_999.5, None),
        (True, None),
        ("1800000000000", None),
    ],
)
def test_time_is_plausible_up_to_five_minutes_ahead(moment: object, expected: int | None) -> None:
    assert plausible_milliseconds(moment, now=1_800_000_000_000) == expected


@pytest.mark.parametrize(
    ("moment", "milliseconds"),
    [
        (1, 1_000),
        (1.5, 1_500),
        (1_800_000_000, 1_800_000_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (100_000_000_001, 100_000_000_001),
        (1_800_000_000_000, 1_800_000_000_000),
    ],
)
def test_seconds_are_recognised_by_their_size(moment: float, milliseconds: float) -> None:
    assert to_milliseconds(moment) == milliseconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 26 Nov 2026 12:00:00 GMT", 1_795_694_400.0),
        ("Thu, 26 Nov 2026 12:00:00 +0100", 1_795_690_800.0),
        ("Thu, 26 Nov 2026 12:00:00 -0000", None),  # no time zone
        ("Thu, 26 Nov 99999999999999999999 12:00:00 GMT", None),
        ("tomorrow", None),
        ("", None),
        (None, None),
    ],
)
def test_http_date_is_in_seconds_or_missing(text: str | None, seconds: float | None) -> None:
    assert parse_http_date(text) == seconds
