"""P5: pages of people, beside COPY with MERGE and beside update_or_create for each."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Mapping

from accounts.bulk import sync_page
from accounts.clerk.profiles import FIELDS, ClerkProfile
from accounts.models import User
from benchmarks.copied import copy_and_merge, row_by_row
from benchmarks.counting import cost_of
from benchmarks.figures import Effort, Figure, Section
from benchmarks.ground import Ground
from benchmarks.judge import WrongAnswer
from benchmarks.measure import Series, ratio, take_turns
from benchmarks.people import person, profile_of, renamed

PAGE = 500  # Clerk: the most that its API gives at once
FEW = 50  # people are enough to time what takes that long
# Far from the people of the other suites, and apart from each other, so that each meets new people.
OURS, THEIRS = 100, 10_000
GOALS = {"new": 0.10, "unchanged": 0.40, "1 % changed": 0.20}
MEBIBYTE = 1024 * 1024


def bulk(ground: Ground, effort: Effort) -> Section:
    """Store pages of new, unchanged and slightly changed people, ours and theirs in turns."""
    pages = effort.pages
    with ground.connect() as beside:
        beside.execute("DROP INDEX IF EXISTS peers_find_people")
    _turns(1, before=2)  # to warm up
    found = {"new": _turns(pages)}
    _check(pages)
    with ground.connect() as beside:
        beside.execute("VACUUM ANALYZE accounts_user")
    found["unchanged"] = _turns(pages)
    written = cost_of(lambda: _store_all(pages), ground=ground).writes
    grown = _grown(pages)
    by_rows = _quicker_than_rows(pages)
    found["1 % changed"] = _turns(pages, every=100)
    return Section(
        title=f"Pages of {PAGE} people",
        figures=[
            *_beside_copy(found),
            Figure(goal="P5", what="unchanged page: times quicker than per-row", value=by_rows, at_least=30),
            Figure(goal="P5", what="unchanged pages: transactions that wrote", value=written, at_most=0),
            Figure(goal="P5", what="MiB that a run over all pages leaves behind", value=grown, at_most=1),
        ],
        head=("page", "ours, people/s", "COPY with MERGE, people/s"),
        rows=[
            [what, *(f"{PAGE / series[name].p50:,.0f}" for name in ("ours", "theirs"))]
            for what, series in found.items()
        ],
    )


def page_of(number: int, *, every: int = 0) -> list[ClerkProfile]:
    """Give a page of people; with `every`, each so-many-th has had another name for a second."""
    people = [person(PAGE * number + place) for place in range(PAGE)]
    if every:
        people[::every] = [renamed(who, later=1000) for who in people[::every]]
    return [profile_of(who) for who in people]


def store(page: list[ClerkProfile]) -> None:
    """Store a page by the product."""
    sync_page(page, source="benchmark")


def _turns(pages: int, *, before: int = 0, every: int = 0) -> dict[str, Series]:
    """Store one page each in every round; the pages are made beforehand, as both are given them."""
    ours = [page_of(OURS - before + number, every=every) for number in range(pages)]
    theirs = [page_of(THEIRS - before + number, every=every) for number in range(pages)]
    actions = {
        "ours": lambda turn: store(ours[turn]),
        "theirs": lambda turn: copy_and_merge(theirs[turn]),
    }
    return take_turns(actions, rounds=pages)


def _beside_copy(found: Mapping[str, Mapping[str, Series]]) -> Iterator[Figure]:
    for what, series in found.items():
        yield Figure(
            goal="P5",
            what=f"{what} page: speed beside COPY with MERGE",
            value=ratio(series["theirs"], series["ours"]),
            at_least=GOALS[what],
        )


def _check(pages: int) -> None:
    """Both must have stored everybody as given; raises WrongAnswer."""
    for number in [*range(OURS, OURS + pages), *range(THEIRS, THEIRS + pages)]:
        wanted = {profile.clerk_id: dict(profile.values) for profile in page_of(number)}
        rows = User.objects.live().filter(clerk_id__in=wanted).values("clerk_id", *FIELDS)
        found = {row.pop("clerk_id"): row for row in rows}
        if found != wanted:
            raise WrongAnswer(f"Page {number} is not in the table as it was given.")


def _quicker_than_rows(pages: int) -> float:
    page = page_of(OURS)
    actions = {"ours": lambda _: store(page), "rows": lambda _: row_by_row(page[:FEW])}
    series = take_turns(actions, rounds=pages)
    return ratio(series["rows"], series["ours"]) * PAGE / FEW


def _grown(pages: int) -> float:
    tracemalloc.start()
    held = []
    for _ in range(2):
        _store_all(pages)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return max(0.0, (held[1] - held[0]) / MEBIBYTE)


def _store_all(pages: int) -> None:
    for number in range(OURS, OURS + pages):
        store(page_of(number))
