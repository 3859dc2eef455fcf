"""P5: pages of users, compared with COPY with MERGE and with update_or_create for each user."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Mapping

from accounts.bulk.page_sync import sync_page
from accounts.clerk.profiles import FIELDS, ClerkProfile
from accounts.models import User
from benchmarks.bulk_reference import copy_and_merge, update_or_create_each
from benchmarks.correctness import WrongAnswer
from benchmarks.counting import cost_of
from benchmarks.environment import Environment
from benchmarks.figures import Effort, Figure, Section
from benchmarks.measure import Series, ratio, take_turns
from benchmarks.users import made_up_user, profile_of, renamed

PAGE_SIZE = 500  # the largest page of Clerk's Backend API
ROW_BY_ROW_USERS = 50  # enough to time the slow method
# Numbers of the first pages: apart from each other and from the users of the other benchmarks.
FIRST_PAGE, FIRST_REFERENCE_PAGE = 100, 10_000
GOALS = {"new": 0.30, "unchanged": 0.50, "1 % changed": 0.35}
BYTES_PER_MEBIBYTE = 1024 * 1024


def bulk(environment: Environment, effort: Effort) -> Section:
    """Store pages of new, unchanged and slightly changed users by both methods in turns."""
    pages = effort.pages
    with environment.connect() as connection:
        connection.execute("DROP INDEX IF EXISTS peers_clerk_id")
    _time_pages(1, before=2)  # to warm up
    series_by_page = {"new": _time_pages(pages)}
    _check_rows(pages)
    with environment.connect() as connection:
        connection.execute("VACUUM ANALYZE accounts_user")
    series_by_page["unchanged"] = _time_pages(pages)
    writes = cost_of(lambda: _store_all(pages), environment=environment).writes
    growth = _memory_growth(pages)
    speedup = _speedup_over_single_rows(pages)
    series_by_page["1 % changed"] = _time_pages(pages, every=100)
    return Section(
        title=f"Pages of {PAGE_SIZE} users",
        figures=[
            *_speed_relative_to_copy(series_by_page),
            Figure(goal="P5", what="unchanged page: speedup over single rows", value=speedup, at_least=30),
            Figure(goal="P5", what="unchanged pages: transactions that wrote", value=writes, at_most=0),
            Figure(goal="P5", what="MiB of memory growth in a run over all pages", value=growth, at_most=1),
        ],
        head=("page", "ours, users/s", "COPY with MERGE, users/s"),
        rows=[
            [what, *(f"{PAGE_SIZE / series[name].p50:,.0f}" for name in ("ours", "reference"))]
            for what, series in series_by_page.items()
        ],
    )


def page_of(number: int, *, every: int = 0) -> list[ClerkProfile]:
    """Return a page of profiles; with `every`, each n-th user got another name one second later."""
    users = [made_up_user(PAGE_SIZE * number + index) for index in range(PAGE_SIZE)]
    if every:
        users[::every] = [renamed(user, later=1000) for user in users[::every]]
    return [profile_of(user) for user in users]


def store(page: list[ClerkProfile]) -> None:
    """Store a page with the product."""
    sync_page(page, source="benchmark")


def _time_pages(pages: int, *, before: int = 0, every: int = 0) -> dict[str, Series]:
    """Time one page of each method in every round; the pages are built before the timing starts."""
    ours = [page_of(FIRST_PAGE - before + number, every=every) for number in range(pages)]
    others = [page_of(FIRST_REFERENCE_PAGE - before + number, every=every) for number in range(pages)]
    actions = {
        "ours": lambda turn: store(ours[turn]),
        "reference": lambda turn: copy_and_merge(others[turn]),
    }
    return take_turns(actions, rounds=pages)


def _speed_relative_to_copy(series_by_page: Mapping[str, Mapping[str, Series]]) -> Iterator[Figure]:
    for what, series in series_by_page.items():
        yield Figure(
            goal="P5",
            what=f"{what} page: speed relative to COPY with MERGE",
            value=ratio(series["reference"], series["ours"]),
            at_least=GOALS[what],
        )


def _check_rows(pages: int) -> None:
    """Check that both methods stored every user as given; raise WrongAnswer otherwise."""
    first_pages = (FIRST_PAGE, FIRST_REFERENCE_PAGE)
    for number in [number for first in first_pages for number in range(first, first + pages)]:
        expected = {profile.clerk_id: dict(profile.values) for profile in page_of(number)}
        rows = User.objects.live().filter(clerk_id__in=expected).values("clerk_id", *FIELDS)
        found = {row.pop("clerk_id"): row for row in rows}
        if found != expected:
            raise WrongAnswer(f"Page {number} was not stored as given.")


def _speedup_over_single_rows(pages: int) -> float:
    page = page_of(FIRST_PAGE)
    actions = {
        "ours": lambda _: store(page),
        "rows": lambda _: update_or_create_each(page[:ROW_BY_ROW_USERS]),
    }
    series = take_turns(actions, rounds=pages)
    return ratio(series["rows"], series["ours"]) * PAGE_SIZE / ROW_BY_ROW_USERS


def _memory_growth(pages: int) -> float:
    tracemalloc.start()
    allocated = []
    for _ in range(2):
        _store_all(pages)
        gc.collect()
        allocated.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return max(0.0, (allocated[1] - allocated[0]) / BYTES_PER_MEBIBYTE)


def _store_all(pages: int) -> None:
    for number in range(FIRST_PAGE, FIRST_PAGE + pages):
        store(page_of(number))
