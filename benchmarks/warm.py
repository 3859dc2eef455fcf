"""P1, P2: the warm authenticated request, in process, of all contenders."""

from __future__ import annotations

from functools import partial

from benchmarks.contenders import Contender, contenders, missing
from benchmarks.counting import Cost, cost_of
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.ground import Ground, Wallet
from benchmarks.in_process import Site
from benchmarks.judge import judge
from benchmarks.measure import Series, ratio, take_turns

COUNTED = 50
REPEAT = 20
# How much quicker than each of these we must be.
QUICKER = {"simplejwt": 1.4, "sdk": 1.4, "django_clerk_users": 1.4, "every": 2.8}


def warm_requests(ground: Ground, effort: Effort) -> Section:
    """Judge every contender's answers, count its statements, then time them in turns."""
    site, wallet = Site(), Wallet(ground)
    for contender in contenders():
        judge(contender, site=site, ground=ground)
    count = partial(cost_of_requests, site=site, ground=ground, count=COUNTED)
    costs = {each.name: count(each) for each in contenders()}
    actions = {each.name: partial(_ask, site, each, wallet) for each in contenders()}
    take_turns(actions, rounds=2, repeat=REPEAT)  # to warm up
    series = take_turns(actions, rounds=effort.warm_rounds, repeat=REPEAT, before_round=wallet.refresh)
    return Section(
        title="Warm authenticated request, in process",
        figures=[*_costs(costs["ours"]), *_ratios(series)],
        head=("contender", "p50 us", "p99 us", "of ours", "statements", "round trips", "writes"),
        rows=[_row(each, series=series, cost=costs[each.name]) for each in contenders()],
        notes=[
            "Statements include BEGIN and COMMIT; writes are the transactions and savepoints that wrote.",
            *(f"Not installed here, so not compared: {label}." for label in missing()),
        ],
        bars=[(each.label, series[each.name].p50 * 1e6) for each in contenders()],
    )


def _ask(site: Site, contender: Contender, wallet: Wallet, turn: int) -> None:
    site.get(contender.path, authorization=contender.header(wallet[turn]))


def cost_of_requests(contender: Contender, *, site: Site, ground: Ground, count: int) -> Cost:
    """Ask so many times and count."""
    wallet = Wallet(ground, numbers=range(count))

    def work() -> None:
        for turn in range(count):
            _ask(site, contender, wallet, turn)

    work()
    return cost_of(work, ground=ground)


def _costs(cost: Cost) -> list[Figure]:
    counted = {
        "statements, counted at the server": (cost.statements, 1),
        "round trips, counted on the wire": (cost.round_trips, 1),
        "transactions that wrote": (cost.writes, 0),
        "network calls": (cost.calls, 0),
    }
    return [
        Figure(goal="P1", what=f"warm request: {what}", value=number / COUNTED, at_most=bound)
        for what, (number, bound) in counted.items()
    ]


def _ratios(series: dict[str, Series]) -> list[Figure]:
    ours = series["ours"]
    what = "warm request, p50, beside"
    return [
        Figure(goal="P2", what=f"{what} token", value=ratio(ours, series["token"]), at_most=0.70),
        Figure(goal="P2", what=f"{what} the limit", value=ratio(ours, series["limit"]), at_most=1.4),
        *(
            Figure(goal="P2", what=f"times quicker than {name}", value=ratio(peer, ours), at_least=least)
            for name, least in QUICKER.items()
            if (peer := series.get(name))
        ),
    ]


def _row(contender: Contender, *, series: dict[str, Series], cost: Cost) -> list[str]:
    own = series[contender.name]
    return [
        contender.label,
        microseconds(own.p50),
        microseconds(own.p99),
        f"{ratio(own, series['ours']):.2f}",
        f"{cost.statements / COUNTED:.1f}",
        f"{cost.round_trips / COUNTED:.1f}",
        f"{cost.writes / COUNTED:.1f}",
    ]
