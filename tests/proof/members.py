"""Order, races and crashes in a project with users of its own: the same proofs in `member_site`.

A user has three rows: the `ClerkAccount`, the member, and the profile that a receiver creates. The
numbers are smaller than in a clone, because the locks, the decisions and the merge are the same code.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.proof.backfills import kill_backfills
from tests.proof.databases import ERRORS, fail_at_writes
from tests.proof.histories import repeat_histories, run_histories
from tests.proof.outages import kill_during_webhooks, restart_under_load
from tests.proof.races import (
    apply_concurrently,
    delete_during_first_requests,
    repeat_concurrently,
    send_first_requests,
)

# What a full or busy server answers. Django has one class for these errors, and none for a wrong value.
TRIED = ("disk full", "deadlock", "connection dies")


def every_step_keeps_the_invariants(*, seed: int) -> Mapping[str, object]:
    """In any order of operations, for 25 seconds: one live account, each with its user, and true rows."""
    return repeat_histories(seed=seed, seconds=25)


def twelve_threads_applying_one_history_end_in_the_true_rows(*, seed: int) -> Mapping[str, object]:
    """One history applied by 12 threads at once, for ten seconds: the true or the deleted account."""
    return repeat_concurrently(seed=seed, seconds=10)


def concurrent_first_requests_create_one_user_each(*, seed: int) -> Mapping[str, object]:
    """20 new users, 16 times each at once, and 40, twice each: only 200, one account and one user each."""
    return send_first_requests(groups=((20, 16), (40, 2)), workers=4)


def no_first_request_revives_a_deleted_user(*, seed: int) -> Mapping[str, object]:
    """100 users deleted in Clerk at the moment of their first requests: no account is live at the end."""
    return delete_during_first_requests(seed=seed, users=100, workers=4)


def a_backfill_killed_six_times_ends_like_an_undisturbed_one(*, seed: int) -> Mapping[str, object]:
    """`backfill_users`, killed with -9 at six random moments: the rows of an undisturbed run."""
    return kill_backfills(seed=seed, users=2000, kills=6)


def a_restarted_database_gives_only_200_and_503(*, seed: int) -> Mapping[str, object]:
    """A database stopped and crashed under load, once each: only 200 and 503, and immediate recovery."""
    return restart_under_load(seed=seed, restarts=2, workers=4)


def a_server_killed_during_a_webhook_loses_nothing(*, seed: int) -> Mapping[str, object]:
    """Workers and servers killed while the member is written, four times: each event has one effect."""
    return kill_during_webhooks(seed=seed, kills=4)


def a_database_that_fails_at_writes_gives_503_only_to_writes(*, seed: int) -> Mapping[str, object]:
    """Three errors at the write of the member, after that of the account, and at the commit of all rows."""
    return fail_at_writes(errors={name: ERRORS[name] for name in TRIED}, moments=("write", "commit"))


def short_forms_of_all_hold(*, seed: int) -> Mapping[str, object]:
    """The claims of this module, each as small as possible: for `make test`."""
    error = {TRIED[0]: ERRORS[TRIED[0]]}
    seen = run_histories(seed=seed, number=5, steps=40)
    return {
        "steps of histories": seen["steps"],
        "histories by threads": apply_concurrently(seed=seed, number=2),
        "rows of first requests": send_first_requests(groups=((2, 16), (8, 2)), workers=2)["rows"],
        "deleted": delete_during_first_requests(seed=seed, users=10, workers=2)["users"],
        "killed backfills": kill_backfills(seed=seed, users=1200, kills=1)["kills"],
        "restarts": restart_under_load(seed=seed, restarts=1, workers=2)["workers, clients, restarts"],
        "killed webhooks": kill_during_webhooks(seed=seed, kills=1)["kills"],
        "failed writes": fail_at_writes(errors=error, moments=("write",))["errors"],
    }
