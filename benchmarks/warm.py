"""P1, P2: the warm authenticated request, in process, of all peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
MINIMUM_SPEEDUP = {"simplejwt": 1.5, "sdk": 1.5, "django_clerk_users": 1.5, "every_request": 2.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The cost and the durations of each peer, by its name."""

    costs: Mapping[str, Cost]
    series: Mapping[str, Series]


def warm_requests(environment: Environment, effort: Effort) -> Section:
    """Compare all peers where the identity is the user."""
    compared = compare_peers(environment, rounds=effort.warm_rounds)
    return build_section(
        compared,
        title="Warm authenticated request, in process",
        figures=[
            *count_figures(compared, goal="P1", what="warm request"),
            *ratio_figures(
                compared,
                goal="P2",
                what="warm request",
                at_most={"token": 0.65, "minimal": 1.28},
                speedups=MINIMUM_SPEEDUP,
            ),
        ],
    )


def compare_peers(environment: Environment, *, rounds: int) -> Comparison:
    """Check the answers of every peer, count its statements, then time all of them in turns."""
    site, pool = Site(), CredentialPool(environment)
    for peer in installed_peers():
        check_answers(peer, site=site, environment=environment)
    count = partial(cost_of_requests, site=site, environment=environment, count=COUNTED_REQUESTS)
    costs = {each.name: count(each) for each in installed_peers()}
    actions = {each.name: partial(_send, site, each, pool) for each in installed_peers()}
    take_turns(actions, rounds=2, repeat=REPEAT)  # to warm up
    series = take_turns(actions, rounds=rounds, repeat=REPEAT, before_round=pool.refresh)
    return Comparison(costs=costs, series=series)


def build_section(compared: Comparison, *, title: str, figures: Sequence[Figure], label: str = "") -> Section:
    """Return the section of a comparison; `label` is the name of ours in its table."""
    labels = {each.name: each.label for each in installed_peers()} | ({"ours": label} if label else {})
    return Section(
        title=title,
        figures=figures,
        head=("authentication", "p50 us", "p99 us", "of ours", "statements", "round trips", "writes"),
        rows=[_row(name, label=labels[name], compared=compared) for name in labels],
        notes=[
            "Statements include BEGIN and COMMIT; writes are the transactions and savepoints that wrote.",
            *(f"Not installed, so not compared: {label}." for label in missing_peers()),
        ],
        bars=[(labels[name], compared.series[name].p50 * 1e6) for name in labels],
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


def count_figures(compared: Comparison, *, goal: str, what: str) -> list[Figure]:
    """Return what one request of ours costs; more than one statement misses the goal."""
    cost = compared.costs["ours"]
    counted = {
        "statements, counted at the server": (cost.statements, 1),
        "round trips, counted on the wire": (cost.round_trips, 1),
        "transactions that wrote": (cost.writes, 0),
        "network calls": (cost.calls, 0),
    }
    return [
        Figure(goal=goal, what=f"{what}: {counting}", value=number / COUNTED_REQUESTS, at_most=bound)
        for counting, (number, bound) in counted.items()
    ]


def ratio_figures(
    compared: Comparison,
    *,
    goal: str,
    what: str,
    at_most: Mapping[str, float],
    speedups: Mapping[str, float],
) -> list[Figure]:
    """Return the times relative to the peers in `at_most`, and the speedup over those in `speedups`."""
    series = compared.series
    ours = series["ours"]
    names = {"minimal": "the limit"}
    return [
        *(
            Figure(
                goal=goal,
                what=f"{what}, p50, relative to {names.get(name, name)}",
                value=ratio(ours, series[name]),
                at_most=most,
            )
            for name, most in at_most.items()
        ),
        *(
            Figure(goal=goal, what=f"{what}: speedup over {name}", value=ratio(peer, ours), at_least=least)
            for name, least in speedups.items()
            if (peer := series.get(name))
        ),
    ]


def _row(name: str, *, label: str, compared: Comparison) -> list[str]:
    own, cost = compared.series[name], compared.costs[name]
    return [
        label,
        microseconds(own.p50),
        microseconds(own.p99),
        f"{ratio(own, compared.series['ours']):.2f}",
        f"{cost.statements / COUNTED_REQUESTS:.1f}",
        f"{cost.round_trips / COUNTED_REQUESTS:.1f}",
        f"{cost.writes / COUNTED_REQUESTS:.1f}",
    ]
