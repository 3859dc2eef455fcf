"""Races between real processes: concurrent first requests, and deletions at the same time."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TypeVar

import hypothesis
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from accounts.bulk.page_sync import sync_page
from accounts.clerk.fields import is_equal
from accounts.clerk.profiles import ClerkProfile, Source
from accounts.models import DeletedBy
from accounts.sync import UserDeleted, delete_user, sync_user
from tests.accounts.test_merge_histories import State, columns, histories
from tests.proof.clients import Answer, answer_of, format_table
from tests.proof.environment import clerk_instance, empty_database
from tests.proof.invariants import check_address, row_values, run_statement
from tests.proof.rows import live_users, query
from tests.proof.site import Site, database, emulator_settings
from tests.proof.tables import IDENTITY_TABLE, Identity, find_broken_rules

T = TypeVar("T")
THREADS = 12
LAST_START_SECONDS = 40  # no further twenty histories are started afterwards


def run_concurrently(operations: Sequence[Callable[[], T]]) -> list[T]:
    """Run all functions at the same moment, each in its own thread, and return their results."""
    barrier = threading.Barrier(len(operations))

    def begin(operation: Callable[[], T]) -> T:
        barrier.wait()
        try:
            return operation()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(operations)) as threads:
        return list(threads.map(begin, operations))


def concurrent_first_requests_create_one_row_each(*, seed: int) -> Mapping[str, object]:
    """20 new users, 16 times each at once, and 200, twice each: only 200, one row each, no call to Clerk."""
    return send_first_requests(groups=((20, 16), (200, 2)), workers=8)


def concurrent_first_requests_under_uvicorn_create_one_row_each(*, seed: int) -> Mapping[str, object]:
    """The same under an ASGI server, with a pool of connections."""
    return send_first_requests(groups=((20, 16), (200, 2)), workers=4, asgi="config.asgi:application")


def send_first_requests(
    *, groups: Sequence[tuple[int, int]], workers: int, asgi: str = ""
) -> Mapping[str, object]:
    """Send the first requests of (users, times) in each group; 16 clients at the same moment."""
    figures: dict[str, object] = {}
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers, asgi=asgi, **emulator_settings(clerk)) as site,
    ):
        for users, times in groups:
            tokens = [site.mint(clerk.new_person(first_name="New")) for _ in range(users)]
            begin = time.monotonic()
            answers = list(
                chain.from_iterable(_send_concurrently(site, batch) for batch in _batches(tokens, times))
            )
            seconds = time.monotonic() - begin
            assert {each.status for each in answers} == {200}, format_table(answers)
            figures[f"{users} users x {times}"] = f"{len(answers)} x 200 in {seconds:.1f} s"
        rows = query(server.url, f"SELECT clerk_id, count(*) FROM {IDENTITY_TABLE} GROUP BY 1")  # noqa: S608
        assert len(rows) == sum(users for users, _ in groups)
        assert {number for _, number in rows} == {1}
        assert len(live_users(server.url)) == len(rows)
        assert clerk.api_requests == []
        assert clerk.key_requests <= workers, "more than one fetch of the keys by each worker"
        return figures | {"rows": len(rows), "calls to Clerk": 0, "workers": workers}


def _batches(tokens: list[str], times: int) -> list[list[str]]:
    """Return all requests in batches of sixteen, the requests of one user side by side."""
    requests = [token for token in tokens for _ in range(times)]
    return [requests[start : start + 16] for start in range(0, len(requests), 16)]


def _send_concurrently(site: Site, tokens: list[str]) -> list[Answer]:
    return run_concurrently([partial(_send, site, token) for token in tokens])


def _send(site: Site, token: str, *, after: float = 0) -> Answer:
    time.sleep(after)
    began = time.monotonic()
    return answer_of("first request", site.me(token), began=began)


def _delete_in_clerk(site: Site, clerk_id: str, *, after: float) -> Answer:
    time.sleep(after)
    began = time.monotonic()
    event = {"type": "user.deleted", "object": "event", "data": {"id": clerk_id, "deleted": True}}
    return answer_of("deletion", site.deliver(event), began=began)


def no_first_request_revives_a_deleted_user(*, seed: int) -> Mapping[str, object]:
    """500 users deleted in Clerk at the moment of their first requests: no row is live at the end."""
    return delete_during_first_requests(seed=seed, users=500, workers=4)


def delete_during_first_requests(*, seed: int, users: int, workers: int) -> Mapping[str, object]:
    """Deliver each deletion concurrently with three first requests; raise AssertionError if a row is live."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    answers: list[Answer] = []
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers) as site,
    ):
        tokens = {}
        for _ in range(users):
            user = clerk.new_person(first_name="New")
            tokens[user.id] = token = site.mint(user)
            clerk.delete(user)
            operations = [partial(_send, site, token, after=rng.uniform(0, 0.01)) for _ in range(3)]
            operations.append(partial(_delete_in_clerk, site, user.id, after=rng.uniform(0, 0.01)))
            answers += run_concurrently(operations)
        seen = Counter((each.kind, each.status, each.code) for each in answers)
        allowed = {
            ("first request", 200, ""),
            ("first request", 401, "user_deleted"),
            ("deletion", 200, ""),
        }
        assert set(seen) <= allowed, format_table(answers)
        rows = query(server.url, f"SELECT clerk_id, deleted_by FROM {IDENTITY_TABLE}")  # noqa: S608
        assert Counter(rows) == Counter((clerk_id, "clerk") for clerk_id in tokens), (
            "a deleted user is live again"
        )
        assert not live_users(server.url)
        later = [site.me(token) for token in list(tokens.values())[:50]]
        assert {response.status_code for response in later} == {401}
    return {"users": users, "rows that are live again": 0, "responses to the clients": format_table(answers)}


def twelve_threads_applying_one_history_end_in_the_true_row(*, seed: int) -> Mapping[str, object]:
    """One history applied by 12 threads at once, distributed or by each: the true or the deleted row."""
    return repeat_concurrently(seed=seed, seconds=LAST_START_SECONDS)


def repeat_concurrently(*, seed: int, seconds: float) -> Mapping[str, object]:
    """Apply histories, twenty at a time, as long as the last twenty start within these seconds."""
    number = 0
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        number += apply_concurrently(seed=seed + number, number=20)
    return {"histories": number, "threads": THREADS}


def apply_concurrently(*, seed: int, number: int) -> int:
    """Apply this number of histories with twelve threads each; return the number of applied histories."""
    applied = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(histories(), st.booleans(), st.randoms(use_true_random=False))
    def apply(history: tuple[list[State], list[ClerkProfile]], deleted: bool, rng: random.Random) -> None:  # noqa: FBT001
        nonlocal applied
        states, profiles = history
        clerk_id = profiles[0].clerk_id
        empty_database()
        operations: list[Callable[[], object]] = [partial(_apply_profile, profile) for profile in profiles]
        if deleted:
            operations.append(partial(delete_user, clerk_id, at=states[-1].since + 1))
        if rng.random() < 0.5:  # distributed among the threads; else each thread applies all
            shuffled = rng.sample(operations, len(operations))
            orders = [shuffled[number::THREADS] for number in range(THREADS)]
        else:
            orders = [rng.sample(operations, len(operations)) for _ in range(THREADS)]
        run_concurrently([partial(_run_all, order) for order in orders])
        applied += 1
        rows = list(Identity.objects.filter(clerk_id=clerk_id))
        assert len(rows) == 1
        assert (rows[0].deleted_by == DeletedBy.CLERK) == deleted
        stored = row_values(rows[0]) | {"extra": rows[0].extra}
        assert deleted or is_equal(stored, columns(states[-1]))
        broken = find_broken_rules(run_statement)
        assert not broken, f"the rows of a user do not fit together: {broken}"
        verified = {(clerk_id, state.values["email"]) for state in states if state.values["email_verified"]}
        check_address(rows[0], verified=verified)

    apply()
    return applied


def _apply_profile(profile: ClerkProfile) -> object:
    """Store a profile with the function for its source."""
    if profile.source is Source.API:
        return sync_page([profile], source="backfill")
    with suppress(UserDeleted):
        return sync_user(profile)
    return None


def _run_all(operations: Sequence[Callable[[], object]]) -> None:
    for operation in operations:
        operation()
