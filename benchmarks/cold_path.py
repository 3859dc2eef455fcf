"""P7: what a first request and a webhook cost, in process: time, statements and round trips."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from benchmarks.correctness import OK, WrongAnswer
from benchmarks.counting import Cost, cost_of
from benchmarks.environment import WEBHOOK_SECRET, Environment
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.in_process import Site, clerk_id_in
from benchmarks.measure import Series, take_turns
from benchmarks.peers import installed_peers
from benchmarks.users import made_up_user, renamed
from devclerk.events import Change
from devclerk.webhooks import signed_headers
from devclerk.wire import event_object

FIRST_USER = 10_000  # apart from the users of the other benchmarks
COUNTED = 10
REPEAT = 5


class Kind(NamedTuple):
    """A kind of delivery: when the user changed and which copy it is, the outcome, and P7's bound if any."""

    label: str
    later: int
    """Milliseconds after the creation of the user."""
    copy: int
    outcome: str
    round_trips: int | None


# The order matters: each kind needs the one before.
KINDS = (
    Kind("webhook of a new user", 0, 1, "created", 10),
    Kind("webhook of a changed user", 1000, 1, "updated", 9),
    Kind("webhook of an unchanged user", 1000, 2, "unchanged", 4),
    Kind("the same webhook again", 1000, 2, "duplicate", None),
)
FIRST_REQUEST_ROUND_TRIPS = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A signed delivery and its expected outcome."""

    body: bytes
    headers: dict[str, str]
    outcome: str


def cold_path(environment: Environment, effort: Effort) -> Section:
    """P7: first requests of new users; then the creation of other users by webhook, and changes of them."""
    site = Site()
    turns = range(COUNTED + effort.delivery_rounds * REPEAT)

    figures, rows = [], []

    def measure(label: str, work: Sequence[Callable[[], None]], *, at_most: int | None) -> None:
        cost, series = _measure(work, environment=environment, rounds=effort.delivery_rounds)
        trips = cost.round_trips / COUNTED
        if at_most is not None:
            figures.append(Figure(goal="P7", what=f"round trips: {label}", value=trips, at_most=at_most))
        times = [microseconds(series.p50), microseconds(series.p99)]
        rows.append([label, *times, f"{cost.statements / COUNTED:.1f}", f"{trips:.1f}"])

    users = [made_up_user(FIRST_USER + len(turns) + turn) for turn in turns]
    requests = [partial(_send_first, site, user.id, environment.session_of(user)) for user in users]
    measure("first request", requests, at_most=FIRST_REQUEST_ROUND_TRIPS)
    for kind in KINDS:
        deliveries = [partial(_deliver, site, _build_delivery(turn, kind=kind)) for turn in turns]
        measure(kind.label, deliveries, at_most=kind.round_trips)
    return Section(
        title="The cold path, in process",
        head=("", "p50 us", "p99 us", "statements", "round trips"),
        notes=["Statements include BEGIN, COMMIT and savepoints. Round trips are counted on the wire."],
        figures=figures,
        rows=rows,
    )


def _measure(
    work: Sequence[Callable[[], None]], *, environment: Environment, rounds: int
) -> tuple[Cost, Series]:
    first, rest = work[:COUNTED], work[COUNTED:]

    def run_first() -> None:
        for each in first:
            each()

    cost = cost_of(run_first, environment=environment)
    return cost, take_turns({"work": lambda turn: rest[turn]()}, rounds=rounds, repeat=REPEAT)["work"]


def _send_first(site: Site, clerk_id: str, token: str) -> None:
    status, body = site.get(installed_peers()[0].path, authorization=f"Bearer {token}")
    if status != OK or clerk_id_in(body) != clerk_id:
        raise WrongAnswer(f"A first request was answered {status}.")


def _build_delivery(turn: int, *, kind: Kind) -> Delivery:
    user = made_up_user(FIRST_USER + turn)
    change = Change(
        type="user.updated" if kind.later else "user.created",
        user=renamed(user, later=kind.later) if kind.later else user,
        at=int(time.time() * 1000),
        svix_id=f"msg_{turn}_{kind.later}_{kind.copy}",
    )
    body = json.dumps(event_object(change, instance_id="ins_benchmark")).encode()
    headers = signed_headers(body, secret=WEBHOOK_SECRET, svix_id=change.svix_id)
    return Delivery(body=body, headers=headers, outcome=kind.outcome)


def _deliver(site: Site, delivery: Delivery) -> None:
    status, body = site.post("/webhooks/clerk", delivery.body, headers=delivery.headers)
    if status != OK or json.loads(body)["outcome"] != delivery.outcome:
        raise WrongAnswer(f"A delivery with the expected outcome {delivery.outcome} was answered {status}.")
