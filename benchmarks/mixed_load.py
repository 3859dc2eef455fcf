"""P8: warm requests beside first requests and webhooks, in one worker with eight threads."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from itertools import count

from benchmarks.clients import Answer, Load, Request, load_on
from benchmarks.correctness import OK, WrongAnswer
from benchmarks.environment import WEBHOOK_SECRET, CredentialPool, Environment
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.gunicorn import gunicorn
from benchmarks.peers import installed_peers
from benchmarks.users import made_up_user
from devclerk.events import Change
from devclerk.users import ClerkUser
from devclerk.webhooks import signed_headers
from devclerk.wire import event_object

THREADS, CLIENTS = 8, 8
# A burst: 90 % warm requests, 5 % first requests, 5 % webhooks.
WARM, FIRST, WEBHOOKS = 360, 20, 20
FIRST_USER = 1_000_000  # apart from the users of the other benchmarks


def mixed_load(environment: Environment, effort: Effort) -> Section:
    """Send bursts of the mixture and of its warm requests alone, in turns; compare the warm requests."""
    pool, newcomers = CredentialPool(environment), map(made_up_user, count(FIRST_USER))
    shuffle = random.Random(1).shuffle  # noqa: S311 - an order, no secret
    warm: dict[str, list[Answer]] = {"alone": [], "mixed": []}
    seconds = dict.fromkeys(warm, 0.0)
    with gunicorn(threads=THREADS) as server, load_on(server.address, clients=CLIENTS) as load:
        _send(load, _warm_requests(pool))  # to warm up
        while min(seconds.values()) < effort.mixed_seconds:
            pool.refresh()
            users = [next(newcomers) for _ in range(FIRST)]
            bursts = {
                "alone": _warm_requests(pool),
                "mixed": [*_warm_requests(pool), *_first_requests(users, environment), *_webhooks(users)],
            }
            names = list(bursts)
            shuffle(names)
            for name in names:
                order = list(range(len(bursts[name])))
                shuffle(order)
                began = time.perf_counter()
                answers = _send(load, [bursts[name][position] for position in order])
                seconds[name] += time.perf_counter() - began
                warm[name] += [answers[turn] for turn, position in enumerate(order) if position < WARM]
    return Section(
        title=f"Mixed load over HTTP: one worker with {THREADS} threads, {CLIENTS} connections",
        figures=[
            Figure(
                goal="P8",
                what="p99 of warm requests beside 5 % first requests and 5 % webhooks, relative to alone",
                value=_quantile(warm["mixed"], 0.99) / _quantile(warm["alone"], 0.99),
                at_most=1.5,
            )
        ],
        head=("warm requests", "number", "p50 us", "p99 us"),
        rows=[
            [name, str(len(own)), *(microseconds(_quantile(own, share)) for share in (0.50, 0.99))]
            for name, own in warm.items()
        ],
        notes=[f"{seconds['mixed']:.0f} s of the mixture, in bursts of {WARM + FIRST + WEBHOOKS}."],
    )


def _warm_requests(pool: CredentialPool) -> list[Request]:
    ours = installed_peers()[0]
    return [Request.get(ours.path, authorization=ours.header(pool[turn])) for turn in range(WARM)]


def _first_requests(users: Sequence[ClerkUser], environment: Environment) -> Iterator[Request]:
    path = installed_peers()[0].path
    for user in users:
        yield Request.get(path, authorization=f"Bearer {environment.session_of(user)}")


def _webhooks(users: Sequence[ClerkUser]) -> Iterator[Request]:
    """Yield what Clerk sends when these users have signed up: the event may arrive before their request."""
    for user in users[:WEBHOOKS]:
        change = Change(
            type="user.created", user=user, at=int(time.time() * 1000), svix_id=f"msg_mixed_{user.id}"
        )
        body = json.dumps(event_object(change, instance_id="ins_benchmark")).encode()
        headers = signed_headers(body, secret=WEBHOOK_SECRET, svix_id=change.svix_id)
        yield Request.post("/webhooks/clerk", body, headers=headers)


def _send(load: Load, requests: Sequence[Request]) -> list[Answer]:
    answers = load.send(requests)
    if wrong := [answer.status for answer in answers if answer.status != OK]:
        raise WrongAnswer(f"Under mixed load, {len(wrong)} answers were not 200 but {set(wrong)}.")
    return answers


def _quantile(answers: Sequence[Answer], share: float) -> float:
    times = sorted(answer.seconds for answer in answers)
    return times[int(len(times) * share)]
