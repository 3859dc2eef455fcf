"""P3: concurrent first requests of new users, each user twice at the same moment."""

from __future__ import annotations

import statistics

from benchmarks.clients import Request, load_on
from benchmarks.correctness import OK
from benchmarks.environment import USERS, Environment
from benchmarks.figures import Effort, Figure, Section
from benchmarks.gunicorn import THREADS, gunicorn
from benchmarks.in_process import clerk_id_in
from benchmarks.peers import installed_peers
from benchmarks.users import made_up_user

NEW_USERS = 200
ROWS = "SELECT count(*) FROM accounts_user WHERE clerk_id = ANY(%s)"


def first_requests(environment: Environment, effort: Effort) -> Section:
    """Send the first requests of all new users; count rows and wrong responses."""
    new_users = [made_up_user(number) for number in range(USERS, USERS + NEW_USERS)]
    # Adjacent requests are sent at the same time.
    callers = [user for user in new_users for _ in range(2)]
    path = installed_peers()[0].path
    with gunicorn() as server, load_on(server.address, clients=THREADS) as load:
        tokens = [environment.session_of(user) for user in callers]
        answers = load.send([Request.get(path, authorization=f"Bearer {token}") for token in tokens])
    errors = sum(
        answer.status != OK or clerk_id_in(answer.body) != user.id
        for user, answer in zip(callers, answers, strict=True)
    )
    with environment.connect() as connection:
        row = connection.execute(ROWS, [[user.id for user in new_users]]).fetchone()
    rows = int(str(row[0])) if row else 0
    seconds = statistics.median(answer.seconds for answer in answers)
    return Section(
        title=f"Concurrent first requests: {NEW_USERS} new users, twice each, {THREADS} threads, over HTTP",
        figures=[
            Figure(
                goal="P3",
                what="concurrent first requests: rows",
                value=rows,
                at_least=NEW_USERS,
                at_most=NEW_USERS,
            ),
            Figure(
                goal="P3", what="concurrent first requests: responses other than 200", value=errors, at_most=0
            ),
        ],
        notes=[f"A first request took {seconds * 1e3:.0f} ms (p50)."],
    )
