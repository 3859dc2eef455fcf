"""P2 over HTTP: requests per second of all contenders."""

from __future__ import annotations

from functools import partial

from benchmarks.clients import Answer, Load, load_on
from benchmarks.contenders import Contender, contenders
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.ground import Ground, Wallet
from benchmarks.gunicorn import gunicorn
from benchmarks.judge import OK, WrongAnswer
from benchmarks.measure import ratio, take_turns

CLIENTS = 4
BURST = 100


def over_http(ground: Ground, effort: Effort) -> Section:
    """Send bursts to each contender in turns."""
    wallet = Wallet(ground)
    answers: dict[str, list[Answer]] = {each.name: [] for each in contenders()}
    with gunicorn() as address, load_on(address, clients=CLIENTS) as load:
        actions = {
            each.name: partial(_burst, load, each, wallet, answers[each.name]) for each in contenders()
        }
        take_turns(actions, rounds=2)  # to warm up
        series = take_turns(actions, rounds=effort.http_rounds, before_round=wallet.refresh)
    return Section(
        title=f"Over HTTP: gunicorn, one worker with threads, {CLIENTS} connections kept alive",
        figures=[
            Figure(
                goal="P2",
                what="over HTTP: requests per second beside token",
                value=ratio(series["token"], series["ours"]),
                at_least=1.25,
            )
        ],
        head=("contender", "requests/s", "of ours", "p50 us", "p99 us"),
        rows=[
            [
                each.label,
                f"{BURST / series[each.name].p50:.0f}",
                f"{ratio(series['ours'], series[each.name]):.2f}",
                *_latencies(answers[each.name]),
            ]
            for each in contenders()
        ],
    )


def _burst(load: Load, contender: Contender, wallet: Wallet, answers: list[Answer], turn: int) -> None:
    questions = [(contender.path, contender.header(wallet[number])) for number in range(turn, turn + BURST)]
    got = load.send(questions)
    if any(answer.status != OK for answer in got):
        raise WrongAnswer(f"{contender.label} refused a good credential under load.")
    answers.extend(got)


def _latencies(answers: list[Answer]) -> list[str]:
    times = sorted(answer.took for answer in answers[2 * BURST :])
    return [microseconds(times[int(len(times) * share)]) for share in (0.50, 0.99)]
