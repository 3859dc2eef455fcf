"""The short forms of the proofs with real servers; `make proof` runs each of them at its full size."""

from __future__ import annotations

import pytest

from tests.proof.backfills import backfill_during_traffic, kill_backfills
from tests.proof.canaries import search_for_canaries
from tests.proof.clocks import shift_clocks
from tests.proof.databases import ERRORS, fail_at_writes
from tests.proof.deadlines import lock_tables, stop_server
from tests.proof.failovers import promote_standby
from tests.proof.keys import BROKEN, break_jwks_address, serve_known_keys
from tests.proof.logins import flood_the_login
from tests.proof.outages import kill_during_webhooks, restart_under_load
from tests.proof.races import delete_during_first_requests, send_first_requests
from tests.proof.rotations import rotate_under_noise

pytestmark = pytest.mark.postgresql


def test_concurrent_first_requests_create_one_row_each() -> None:
    assert send_first_requests(groups=((2, 16), (16, 2)), workers=2)["rows"] == 18


def test_concurrent_first_requests_under_uvicorn_create_one_row_each() -> None:
    figures = send_first_requests(groups=((2, 16), (16, 2)), workers=2, asgi="config.asgi:application")
    assert figures["rows"] == 18


def test_no_first_request_revives_one_of_twenty_deleted_users() -> None:
    assert delete_during_first_requests(seed=1, users=20, workers=2)["users"] == 20


def test_a_backfill_killed_three_times_ends_like_an_undisturbed_one() -> None:
    assert kill_backfills(seed=1, users=1200, kills=3)["kills"] == 3


def test_two_backfills_with_live_traffic_end_in_the_true_rows() -> None:
    assert backfill_during_traffic(seed=1, users=300, workers=2)["users"]


def test_a_database_restarted_once_gives_only_200_and_503() -> None:
    figures = restart_under_load(seed=1, restarts=1, workers=2)
    assert figures["answers other than 200 to requests made outside of an outage"] == 0


def test_a_database_restarted_once_under_uvicorn_gives_only_200_and_503() -> None:
    figures = restart_under_load(seed=1, restarts=1, workers=2, asgi="config.asgi:application")
    assert figures["answers other than 200 to requests made outside of an outage"] == 0


def test_workers_killed_during_a_webhook_lose_nothing() -> None:
    assert kill_during_webhooks(seed=1, kills=2)["kills"] == 2


@pytest.mark.parametrize("kind", ["direct", "pool", "uvicorn"])
def test_a_stopped_server_costs_a_request_six_seconds(kind: str) -> None:
    assert stop_server(seed=1, seconds=8, kinds=(kind,))


def test_a_locked_table_costs_a_request_six_seconds() -> None:
    assert lock_tables(seed=1, seconds=7, tables=("webhooks_webhookevent",))


def test_a_promoted_standby_serves_every_request() -> None:
    assert promote_standby(seed=1, workers=2)


@pytest.mark.parametrize("error", ["disk full", "connection dies"])
def test_a_database_that_fails_at_writes_gives_503_only_to_writes(error: str) -> None:
    assert fail_at_writes(errors={error: ERRORS[error]}, moments=("commit",))


def test_a_misbehaving_jwks_address_affects_no_known_key() -> None:
    assert break_jwks_address(seed=1, workers=1, seconds=0.5, broken=["500", "hanging"])


def test_known_keys_are_served_half_an_hour_without_the_jwks_address() -> None:
    assert serve_known_keys(BROKEN["500"]).startswith("180 x valid")


def test_a_login_flood_of_three_seconds_leaves_live_and_me_quick() -> None:
    assert flood_the_login(seed=1, seconds=3)["responses to the flood"]


def test_a_rotation_under_forged_keys_refuses_no_new_token() -> None:
    assert rotate_under_noise(seed=1, workers=1, seconds=16, rotations=1)["rotation 1"]


def test_a_wrong_clock_is_reported_and_refuses_no_valid_token() -> None:
    assert shift_clocks(shifts=(30,), workers=1)


def test_no_canary_is_found() -> None:
    figures = search_for_canaries(errors=("53100",), with_commands=False)
    assert figures["found"] == 0
