"""Short forms of the proofs of the probes and of forked workers."""

from __future__ import annotations

import pytest

from tests.proof.probes import lock_ledger, start_preloaded

pytestmark = pytest.mark.postgresql


def test_a_locked_ledger_stops_no_probe_and_no_user() -> None:
    assert lock_ledger(seconds=3, max_late=10)


def test_preloaded_workers_always_get_keys() -> None:
    assert start_preloaded(starts=3)
