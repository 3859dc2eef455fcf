"""The short form of the soak: too short to find a leak, long enough to test the measurement."""

from __future__ import annotations

import pytest

from tests.proof.soaks import soak


@pytest.mark.postgresql
def test_memory_is_measured_under_mixed_load() -> None:
    figures = soak(seed=1, seconds=15, max_growth=0.5)
    assert str(figures["minutes, requests"]).startswith("0, ")
    assert "MiB" in str(figures["memory of the workers, by tenths of the time"])
