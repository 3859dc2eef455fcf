"""P2 over HTTP: requests per second of all peers."""

from __future__ import annotations

from functools import partial

from benchmarks.clients import Answer, Load, Request, load_on
from benchmarks.correctness import OK, WrongAnswer
from benchmarks.environment import CredentialPool, Environment
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.gunicorn import gunicorn
from benchmarks.measure import ratio, take_turns
from benchmarks.peers import Peer, installed_peers

CLIENTS = 4
BURST_REQUESTS = 100


def over_http(environment: Environment, effort: Effort) -> Section:
    """Send bursts of requests to each peer in turns."""
    pool = CredentialPool(environment)
    answers: dict[str, list[Answer]] = {each.name: [] for each in installed_peers()}
    with gunicorn() as server, load_on(server.address, clients=CLIENTS) as load:
        actions = {
            each.name: partial(_send_burst, load, each, pool, answers[each.name])
            for each in installed_peers()
        }
        take_turns(actions, rounds=2)  # to warm up
        series = take_turns(actions, rounds=effort.http_rounds, before_round=pool.refresh)
    return Section(
        title=f"Over HTTP: gunicorn, one worker with threads, {CLIENTS} connections kept alive",
        figures=[
            Figure(
                goal="P2",
                what="over HTTP: requests per second relative to token",
                value=ratio(series["token"], series["ours"]),
                at_least=1.25,
            )
        ],
        head=("authentication", "requests/s", "of ours", "p50 us", "p99 us"),
        rows=[
            [
                each.label,
                f"{BURST_REQUESTS / series[each.name].p50:.0f}",
                f"{ratio(series['ours'], series[each.name]):.2f}",
                *_latencies(answers[each.name]),
            ]
            for each in installed_peers()
        ],
    )


def _send_burst(load: Load, peer: Peer, pool: CredentialPool, answers: list[Answer], turn: int) -> None:
    turns = range(turn, turn + BURST_REQUESTS)
    requests = [Request.get(peer.path, authorization=peer.header(pool[number])) for number in turns]
    received = load.send(requests)
    if any(answer.status != OK for answer in received):
        raise WrongAnswer(f"{peer.label} refused a valid credential under load.")
    answers.extend(received)


def _latencies(answers: list[Answer]) -> list[str]:
    times = sorted(answer.seconds for answer in answers[2 * BURST_REQUESTS :])
    return [microseconds(times[int(len(times) * share)]) for share in (0.50, 0.99)]
