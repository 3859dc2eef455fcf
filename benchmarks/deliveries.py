"""Webhook deliveries, in process: signature, ledger, effect, answer."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.counting import cost_of
from benchmarks.figures import Effort, Section, microseconds
from benchmarks.ground import WEBHOOK_SECRET, Ground
from benchmarks.in_process import Site
from benchmarks.judge import OK, WrongAnswer
from benchmarks.measure import take_turns
from benchmarks.people import person, renamed
from devclerk.events import Change
from devclerk.webhooks import signed_headers
from devclerk.wire import event_object

FIRST = 10_000  # far from the people of the other suites
COUNTED = 10
REPEAT = 5
# What is delivered, how much later (ms) than the person's creation, and the outcome. The order matters: a
# change builds on the creation, and a repetition on the change.
KINDS = (
    ("a new person", 0, "created"),
    ("another name", 1000, "updated"),
    ("the same again", 1000, "duplicate"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A signed delivery, and the outcome that it must have."""

    body: bytes
    headers: dict[str, str]
    outcome: str


def deliveries(ground: Ground, effort: Effort) -> Section:
    """Deliver new people, then a change of each, then the change again."""
    site = Site()
    turns = range(COUNTED + effort.delivery_rounds * REPEAT)
    rows = []
    for what, later, outcome in KINDS:
        prepared = [_event(turn, later=later, outcome=outcome) for turn in turns]
        rows.append([what, *_measured(prepared, site=site, ground=ground, rounds=effort.delivery_rounds)])
    return Section(
        title="Webhook deliveries, in process",
        head=("delivery", "p50 us", "p99 us", "statements", "round trips"),
        notes=["Statements include BEGIN and COMMIT."],
        rows=rows,
    )


def _measured(prepared: Sequence[Delivery], *, site: Site, ground: Ground, rounds: int) -> list[str]:
    first, rest = prepared[:COUNTED], prepared[COUNTED:]

    def deliver_first() -> None:
        for each in first:
            _deliver(site, each)

    cost = cost_of(deliver_first, ground=ground)
    actions = {"delivery": lambda turn: _deliver(site, rest[turn])}
    series = take_turns(actions, rounds=rounds, repeat=REPEAT)["delivery"]
    return [
        microseconds(series.p50),
        microseconds(series.p99),
        f"{cost.statements / COUNTED:.1f}",
        f"{cost.round_trips / COUNTED:.1f}",
    ]


def _event(turn: int, *, later: int, outcome: str) -> Delivery:
    who = person(FIRST + turn)
    change = Change(
        type="user.updated" if later else "user.created",
        user=renamed(who, later=later) if later else who,
        at=int(time.time() * 1000),
        svix_id=f"msg_{turn}_{later}",
    )
    body = json.dumps(event_object(change, instance_id="ins_benchmark")).encode()
    headers = signed_headers(body, secret=WEBHOOK_SECRET, svix_id=change.svix_id)
    return Delivery(body=body, headers=headers, outcome=outcome)


def _deliver(site: Site, delivery: Delivery) -> None:
    status, body = site.post("/webhooks/clerk", delivery.body, headers=delivery.headers)
    if status != OK or json.loads(body)["outcome"] != delivery.outcome:
        raise WrongAnswer(f"A delivery that should have been {delivery.outcome} was answered {status}.")
