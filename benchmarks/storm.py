"""P3: many people whom nobody knows yet, each twice at the same moment."""

from __future__ import annotations

import statistics

from benchmarks.clients import load_on
from benchmarks.contenders import contenders
from benchmarks.figures import Effort, Figure, Section
from benchmarks.ground import PEOPLE, Ground
from benchmarks.gunicorn import THREADS, gunicorn
from benchmarks.in_process import clerk_id_in
from benchmarks.judge import OK
from benchmarks.people import person

NEWCOMERS = 200
ROWS = "SELECT count(*) FROM accounts_user WHERE clerk_id = ANY(%s)"


def storm(ground: Ground, effort: Effort) -> Section:
    """Let them all come."""
    newcomers = [person(number) for number in range(PEOPLE, PEOPLE + NEWCOMERS)]
    # Neighbours are sent at the same time.
    twice = [who for who in newcomers for _ in range(2)]
    path = contenders()[0].path
    with gunicorn() as address, load_on(address, clients=THREADS) as load:
        answers = load.send([(path, f"Bearer {ground.session_of(who)}") for who in twice])
    errors = sum(
        answer.status != OK or clerk_id_in(answer.body) != who.id
        for who, answer in zip(twice, answers, strict=True)
    )
    with ground.connect() as beside:
        row = beside.execute(ROWS, [[who.id for who in newcomers]]).fetchone()
    rows = int(str(row[0])) if row else 0
    took = statistics.median(answer.took for answer in answers)
    return Section(
        title=f"Storm: {NEWCOMERS} new people, each twice at once, {THREADS} threads, over HTTP",
        figures=[
            Figure(goal="P3", what="storm: rows", value=rows, at_least=NEWCOMERS, at_most=NEWCOMERS),
            Figure(goal="P3", what="storm: answers other than 200", value=errors, at_most=0),
        ],
        notes=[f"A first request took {took * 1e3:.0f} ms (p50)."],
    )
