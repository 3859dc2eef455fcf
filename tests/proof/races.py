"""Races between real processes: storms of first requests, and deletions in their midst."""

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

from accounts.bulk import sync_page
from accounts.clerk.profiles import ClerkProfile, Source
from accounts.models import DeletedBy, User
from accounts.sync import UserDeleted, delete_user, sync_user
from tests.accounts.test_merge_histories import State, histories
from tests.proof.clients import Answer, answer_of, table
from tests.proof.rows import query
from tests.proof.site import Site, against, database
from tests.proof.stage import clerk_instance, empty_database
from tests.proof.watch import told

T = TypeVar("T")
THREADS = 12
SECONDS = 40  # after that no further twenty histories are begun


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """Do all of these at the same moment, each in a thread of its own, and return what each gave."""
    barrier = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(begin, works))


def a_storm_of_first_requests_makes_one_row_each(*, seed: int) -> Mapping[str, object]:
    """20 new people, each 16 times at once, and 200, each twice: only 200, one row each, Clerk not asked."""
    return storm(crowds=((20, 16), (200, 2)), workers=8)


def storm(*, crowds: Sequence[tuple[int, int]], workers: int) -> Mapping[str, object]:
    """Let so many new people come, each so many times at once; 16 clients at the same moment."""
    figures: dict[str, object] = {}
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers, **against(clerk)) as site,
    ):
        for people, times in crowds:
            tokens = [site.mint(clerk.new_person(first_name="New")) for _ in range(people)]
            begin = time.monotonic()
            answers = list(chain.from_iterable(_ask_at_once(site, group) for group in _groups(tokens, times)))
            seconds = time.monotonic() - begin
            assert {each.status for each in answers} == {200}, table(answers)
            figures[f"{people} people x {times}"] = f"{len(answers)} x 200 in {seconds:.1f} s"
        rows = query(server.url, "SELECT clerk_id, count(*) FROM accounts_user GROUP BY 1")
        assert len(rows) == sum(people for people, _ in crowds)
        assert {number for _, number in rows} == {1}
        assert clerk.api_requests == []
        assert clerk.key_requests <= workers, "more than each worker's own request at its start"
        return figures | {"rows": len(rows), "calls to Clerk": 0, "workers": workers}


def _groups(tokens: list[str], times: int) -> list[list[str]]:
    """Cut all these requests into groups of sixteen, the same person's side by side."""
    requests = [token for token in tokens for _ in range(times)]
    return [requests[start : start + 16] for start in range(0, len(requests), 16)]


def _ask_at_once(site: Site, tokens: list[str]) -> list[Answer]:
    return together([partial(_ask, site, token) for token in tokens])


def _ask(site: Site, token: str, *, after: float = 0) -> Answer:
    time.sleep(after)
    began = time.monotonic()
    return answer_of("first request", site.me(token), began=began)


def _bury(site: Site, clerk_id: str, *, after: float) -> Answer:
    time.sleep(after)
    began = time.monotonic()
    event = {"type": "user.deleted", "object": "event", "data": {"id": clerk_id, "deleted": True}}
    return answer_of("deletion", site.deliver(event), began=began)


def no_first_request_brings_back_the_deleted(*, seed: int) -> Mapping[str, object]:
    """500 people deleted in Clerk at the moment of their first requests: nobody's row is live at the end."""
    return delete_amid_first_requests(seed=seed, people=500, workers=4)


def delete_amid_first_requests(*, seed: int, people: int, workers: int) -> Mapping[str, object]:
    """Deliver each deletion at once with three first requests, and then look who is there."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    answers: list[Answer] = []
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers) as site,
    ):
        tokens = {}
        for _ in range(people):
            person = clerk.new_person(first_name="New")
            tokens[person.id] = token = site.mint(person)
            clerk.delete(person)
            works = [partial(_ask, site, token, after=chance.uniform(0, 0.01)) for _ in range(3)]
            works.append(partial(_bury, site, person.id, after=chance.uniform(0, 0.01)))
            answers += together(works)
        seen = Counter((each.kind, each.status, each.code) for each in answers)
        allowed = {
            ("first request", 200, ""),
            ("first request", 401, "user_deleted"),
            ("deletion", 200, ""),
        }
        assert set(seen) <= allowed, table(answers)
        rows = query(server.url, "SELECT clerk_id, deleted_by FROM accounts_user")
        assert Counter(rows) == Counter((clerk_id, "clerk") for clerk_id in tokens), "somebody is back"
        later = [site.me(token) for token in list(tokens.values())[:50]]
        assert {response.status_code for response in later} == {401}
    return {"people": people, "rows that are live again": 0, "what the clients saw": table(answers)}


def twelve_threads_that_tell_one_history_leave_its_truth(*, seed: int) -> Mapping[str, object]:
    """One history told by 12 threads at once, shared out or by each: the true row, or the tombstone."""
    number = 0
    begin = time.monotonic()
    while time.monotonic() - begin < SECONDS:
        number += tell_at_once(seed=seed + number, number=20)
    return {"histories": number, "threads": THREADS}


def tell_at_once(*, seed: int, number: int) -> int:
    """Let twelve threads tell so many histories, each at once; return how many were told."""
    told_histories = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(histories(), st.booleans(), st.randoms(use_true_random=False))
    def tell(history: tuple[list[State], list[ClerkProfile]], deleted: bool, chance: random.Random) -> None:  # noqa: FBT001
        nonlocal told_histories
        states, news = history
        empty_database()
        works: list[Callable[[], object]] = [partial(_take, profile) for profile in news]
        if deleted:
            works.append(partial(delete_user, "user_a", at=states[-1].since + 1))
        if chance.random() < 0.5:  # each piece once, dealt out; else each thread tells them all
            dealt = chance.sample(works, len(works))
            orders = [dealt[number::THREADS] for number in range(THREADS)]
        else:
            orders = [chance.sample(works, len(works)) for _ in range(THREADS)]
        together([partial(_do_all, order) for order in orders])
        told_histories += 1
        rows = list(User.objects.filter(clerk_id="user_a"))
        assert len(rows) == 1
        assert (rows[0].deleted_by == DeletedBy.CLERK) == deleted
        assert deleted or told(rows[0]) == dict(states[-1].values)

    tell()
    return told_histories


def _take(profile: ClerkProfile) -> object:
    """Take one piece of news the way in which its source comes."""
    if profile.source is Source.API:
        return sync_page([profile], source="backfill")
    with suppress(UserDeleted):
        return sync_user(profile)
    return None


def _do_all(works: Sequence[Callable[[], object]]) -> None:
    for work in works:
        work()
