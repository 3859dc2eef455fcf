"""P1, P2: the warm authenticated request, in process, of all peers."""

from __future__ import annotations

from functools import partial

from benchmarks.correctness import check_answers
from benchmarks.counting import Cost, cost_of
from benchmarks.environment import CredentialPool, Environment
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.in_process import Site
from benchmarks.measure import Series, ratio, take_turns
from benchmarks.peers import Peer, installed_peers, missing_peers

COUNTED_REQUESTS = 50
REPEAT = 20
# The least speedup over each of these peers.
MINIMUM_SPEEDUP = {"simplejwt": 1.4, "sdk": 1.4, "django_clerk_users": 1.4, "every_request": 2.8}


def warm_requests(environment: Environment, effort: Effort) -> Section:
    """Check the answers of every peer, count its statements, then time all of them in turns."""
    site, pool = Site(), CredentialPool(environment)
    for peer in installed_peers():
        check_answers(peer, site=site, environment=environment)
    count = partial(cost_of_requests, site=site, environment=environment, count=COUNTED_REQUESTS)
    costs = {each.name: count(each) for each in installed_peers()}
    actions = {each.name: partial(_send, site, each, pool) for each in installed_peers()}
    take_turns(actions, rounds=2, repeat=REPEAT)  # to warm up
    series = take_turns(actions, rounds=effort.warm_rounds, repeat=REPEAT, before_round=pool.refresh)
    return Section(
        title="Warm authenticated request, in process",
        figures=[*_costs(costs["ours"]), *_ratios(series)],
        head=("authentication", "p50 us", "p99 us", "of ours", "statements", "round trips", "writes"),
        rows=[_row(each, series=series, cost=costs[each.name]) for each in installed_peers()],
        notes=[
            "Statements include BEGIN and COMMIT; writes are the transactions and savepoints that wrote.",
            *(f"Not installed, so not compared: {label}." for label in missing_peers()),
        ],
        bars=[(each.label, series[each.name].p50 * 1e6) for each in installed_peers()],
    )


def _send(site: Site, peer: Peer, pool: CredentialPool, turn: int) -> None:
    site.get(peer.path, authorization=peer.header(pool[turn]))


def cost_of_requests(peer: Peer, *, site: Site, environment: Environment, count: int) -> Cost:
    """Send this number of warm requests and return their cost."""
    pool = CredentialPool(environment, numbers=range(count))

    def work() -> None:
        for turn in range(count):
            _send(site, peer, pool, turn)

    work()
    return cost_of(work, environment=environment)


def _costs(cost: Cost) -> list[Figure]:
    counted = {
        "statements, counted at the server": (cost.statements, 1),
        "round trips, counted on the wire": (cost.round_trips, 1),
        "transactions that wrote": (cost.writes, 0),
        "network calls": (cost.calls, 0),
    }
    return [
        Figure(goal="P1", what=f"warm request: {what}", value=number / COUNTED_REQUESTS, at_most=bound)
        for what, (number, bound) in counted.items()
    ]


def _ratios(series: dict[str, Series]) -> list[Figure]:
    ours = series["ours"]
    what = "warm request, p50, relative to"
    return [
        Figure(goal="P2", what=f"{what} token", value=ratio(ours, series["token"]), at_most=0.70),
        Figure(goal="P2", what=f"{what} the limit", value=ratio(ours, series["minimal"]), at_most=1.4),
        *(
            Figure(
                goal="P2", what=f"warm request: speedup over {name}", value=ratio(peer, ours), at_least=least
            )
            for name, least in MINIMUM_SPEEDUP.items()
            if (peer := series.get(name))
        ),
    ]


def _row(peer: Peer, *, series: dict[str, Series], cost: Cost) -> list[str]:
    own = series[peer.name]
    return [
        peer.label,
        microseconds(own.p50),
        microseconds(own.p99),
        f"{ratio(own, series['ours']):.2f}",
        f"{cost.statements / COUNTED_REQUESTS:.1f}",
        f"{cost.round_trips / COUNTED_REQUESTS:.1f}",
        f"{cost.writes / COUNTED_REQUESTS:.1f}",
    ]
