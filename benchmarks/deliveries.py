"""Webhook deliveries, in process: signature, ledger, effect, response."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.correctness import OK, WrongAnswer
from benchmarks.counting import cost_of
from benchmarks.environment import WEBHOOK_SECRET, Environment
from benchmarks.figures import Effort, Section, microseconds
from benchmarks.in_process import Site
from benchmarks.measure import take_turns
from benchmarks.users import made_up_user, renamed
from devclerk.events import Change
from devclerk.webhooks import signed_headers
from devclerk.wire import event_object

FIRST_USER = 10_000  # apart from the users of the other benchmarks
COUNTED = 10
REPEAT = 5
# What is delivered, how many milliseconds after the user's creation, and the outcome. The order matters: the
# change needs the creation, and the duplicate needs the change.
KINDS = (
    ("a new user", 0, "created"),
    ("another name", 1000, "updated"),
    ("the same again", 1000, "duplicate"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A signed delivery and its expected outcome."""

    body: bytes
    headers: dict[str, str]
    outcome: str


def deliveries(environment: Environment, effort: Effort) -> Section:
    """Deliver the creation of users, then a change of each, then the same change again."""
    site = Site()
    turns = range(COUNTED + effort.delivery_rounds * REPEAT)
    rows = []
    for what, later, outcome in KINDS:
        prepared = [_build_delivery(turn, later=later, outcome=outcome) for turn in turns]
        rows.append(
            [what, *_measure(prepared, site=site, environment=environment, rounds=effort.delivery_rounds)]
        )
    return Section(
        title="Webhook deliveries, in process",
        head=("delivery", "p50 us", "p99 us", "statements", "round trips"),
        notes=["Statements include BEGIN and COMMIT."],
        rows=rows,
    )


def _measure(prepared: Sequence[Delivery], *, site: Site, environment: Environment, rounds: int) -> list[str]:
    first, rest = prepared[:COUNTED], prepared[COUNTED:]

    def deliver_first() -> None:
        for each in first:
            _deliver(site, each)

    cost = cost_of(deliver_first, environment=environment)
    actions = {"delivery": lambda turn: _deliver(site, rest[turn])}
    series = take_turns(actions, rounds=rounds, repeat=REPEAT)["delivery"]
    return [
        microseconds(series.p50),
        microseconds(series.p99),
        f"{cost.statements / COUNTED:.1f}",
        f"{cost.round_trips / COUNTED:.1f}",
    ]


def _build_delivery(turn: int, *, later: int, outcome: str) -> Delivery:
    user = made_up_user(FIRST_USER + turn)
    change = Change(
        type="user.updated" if later else "user.created",
        user=renamed(user, later=later) if later else user,
        at=int(time.time() * 1000),
        svix_id=f"msg_{turn}_{later}",
    )
    body = json.dumps(event_object(change, instance_id="ins_benchmark")).encode()
    headers = signed_headers(body, secret=WEBHOOK_SECRET, svix_id=change.svix_id)
    return Delivery(body=body, headers=headers, outcome=outcome)


def _deliver(site: Site, delivery: Delivery) -> None:
    status, body = site.post("/webhooks/clerk", delivery.body, headers=delivery.headers)
    if status != OK or json.loads(body)["outcome"] != delivery.outcome:
        raise WrongAnswer(f"A delivery with the expected outcome {delivery.outcome} was answered {status}.")
