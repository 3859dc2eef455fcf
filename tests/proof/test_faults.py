"""The short forms of the proofs with real servers; `make proof` runs each of them at its full size."""

from __future__ import annotations

import pytest

from tests.proof.backfills import backfill_amid_traffic, kill_backfills
from tests.proof.canaries import sing
from tests.proof.databases import ERRORS, fail_at_writes
from tests.proof.keys import BROKEN, misbehave, outlive
from tests.proof.outages import kill_amid_webhooks, restart_under_load
from tests.proof.races import delete_amid_first_requests, storm

pytestmark = pytest.mark.postgresql


def test_a_small_storm_of_first_requests_makes_one_row_each() -> None:
    assert storm(crowds=((2, 16), (16, 2)), workers=2)["rows"] == 18


def test_nobody_of_twenty_is_brought_back_by_a_first_request() -> None:
    assert delete_amid_first_requests(seed=1, people=20, workers=2)["people"] == 20


def test_a_backfill_killed_three_times_ends_as_an_undisturbed_one() -> None:
    assert kill_backfills(seed=1, users=1200, kills=3)["kills"] == 3


def test_two_backfills_beside_some_traffic_end_in_the_truth() -> None:
    assert backfill_amid_traffic(seed=1, users=300, workers=2)["people"]


def test_a_database_restarted_once_gives_only_200_and_503() -> None:
    figures = restart_under_load(seed=1, restarts=1, workers=2)
    assert figures["answers other than 200 to requests made outside of an outage"] == 0


def test_workers_killed_in_the_middle_of_a_webhook_lose_nothing() -> None:
    assert kill_amid_webhooks(seed=1, kills=2)["kills"] == 2


@pytest.mark.parametrize("error", ["disk full", "connection dies"])
def test_a_database_that_fails_gives_503_to_whom_it_must(error: str) -> None:
    assert fail_at_writes(errors={error: ERRORS[error]}, moments=("commit",))


def test_an_address_of_keys_that_misbehaves_harms_no_known_key() -> None:
    assert misbehave(seed=1, workers=1, seconds=0.5, broken=["500", "hanging"])


def test_known_keys_outlive_half_an_hour_without_their_address() -> None:
    assert outlive(BROKEN["500"]).startswith("180 x good")


def test_no_canary_gets_out() -> None:
    figures = sing(errors=("53100",), with_commands=False)
    assert figures["found"] == 0
