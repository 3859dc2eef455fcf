"""The database stops under load; the server is killed while it handles a webhook."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

import psycopg
import requests

from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.wire import event_object
from tests.proof.clients import Answer, Load, Send, format_slowest, format_table
from tests.proof.database_faults import inject_faults
from tests.proof.environment import clerk_instance
from tests.proof.rows import query, wait_for_consistency
from tests.proof.site import Site, database, wait_until

WORKERS, CLIENTS, USERS = 8, 12, 40
# Svix waits longer between its attempts; only the repetition matters here.
RETRY_SECONDS = (0.3,) * 200


def a_restarted_database_gives_only_200_and_503(*, seed: int) -> Mapping[str, object]:
    """A database stopped, crashed and started under load: only 200 and 503, and immediate recovery."""
    return restart_under_load(seed=seed, restarts=5, workers=WORKERS)


def a_restarted_database_under_uvicorn_gives_only_200_and_503(*, seed: int) -> Mapping[str, object]:
    """The same under an ASGI server, with a pool of connections."""
    return restart_under_load(seed=seed, restarts=3, workers=4, asgi="config.asgi:application")


def restart_under_load(*, seed: int, restarts: int, workers: int, asgi: str = "") -> Mapping[str, object]:
    """Restart the database under load, every second time after a crash; return the responses."""
    outages: list[tuple[float, float]] = []
    with (
        clerk_instance(users=USERS, retry_schedule=RETRY_SECONDS) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers, asgi=asgi) as site,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        with Load(build_requests(site, clerk), clients=CLIENTS, seed=seed) as load:
            for number in range(restarts):
                time.sleep(2)
                down = time.monotonic()
                server.stop(crash=bool(number % 2))
                wait_until(partial(load.has_seen, 503, since=down), what="a response during the outage")
                time.sleep(1)
                server.start()
                outages.append((down, time.monotonic()))
            time.sleep(3)
        statuses = Counter(each.status for each in load.answers)
        assert set(statuses) == {200, 503}, f"the clients received {statuses} {format_table(load.answers)}"
        failed_late = [each for each in load.answers if each.status != 200 and not _overlaps(each, outages)]
        assert not failed_late, f"no immediate recovery: {failed_late} {outages}"
        wait_for_consistency(server.url, clerk)
        statuses_of_attempts = Counter(each.status for each in clerk.emulator.deliveries.attempts)
    assert set(statuses_of_attempts) <= {200, 503}
    return {
        "workers, clients, restarts": f"{workers}, {CLIENTS}, {restarts}",
        "seconds without the database": ", ".join(f"{end - begin:.1f}" for begin, end in outages),
        "answers other than 200 to requests made outside of an outage": len(failed_late),
        "slowest request": format_slowest(load.answers),
        "attempts to deliver webhooks": dict(statuses_of_attempts),
        "responses to the clients": format_table(load.answers),
    }


def build_requests(site: Site, clerk: LocalClerk) -> Mapping[str, Send]:
    """Return the kinds of requests: warm, first and with changed claims, and webhooks."""
    known = clerk.people[-USERS:]
    tokens = {user.id: site.mint(user) for user in known if not user.banned}

    def warm(rng: random.Random) -> requests.Response:
        return site.me(rng.choice(list(tokens.values())))

    def first(rng: random.Random) -> requests.Response:
        return site.me(site.mint(clerk.new_person(first_name="New")))

    def changed(rng: random.Random) -> requests.Response:
        user = clerk.person(rng.choice(list(tokens)))
        user = clerk.update(user, first_name=rng.choice(["Ada", "Bea", "Cleo"]))
        return site.me(site.mint(user))

    def webhook(rng: random.Random) -> requests.Response:
        user = clerk.person(rng.choice(list(tokens)))
        change = Change(type="user.updated", user=user, at=user.updated_at)
        return site.deliver(event_object(change, instance_id=clerk.instance_id))

    return {"warm": warm, "first request": first, "changed claims": changed, "webhook": webhook}


def _overlaps(answer: Answer, outages: list[tuple[float, float]]) -> bool:
    return any(answer.began <= end and answer.ended >= begin for begin, end in outages)


def a_server_killed_during_a_webhook_loses_nothing(*, seed: int) -> Mapping[str, object]:
    """Workers and servers killed with -9 while a webhook is written: each event has one effect after all."""
    return kill_during_webhooks(seed=seed, kills=12)


def kill_during_webhooks(*, seed: int, kills: int) -> Mapping[str, object]:
    """Kill the workers, every fourth time the whole server, at a write or at its commit."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with (
        clerk_instance(retry_schedule=RETRY_SECONDS) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=2) as site,
        inject_faults(server.url) as faults,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        users = [clerk.new_person(first_name="New") for _ in range(10)]
        for number in range(kills):
            user = rng.choice(users)
            clerk.update(user, first_name=f"Name {number}")
            faults.begin("sleep 0.5", at=rng.choice(["write", "commit"]))
            wait_until(lambda: _is_writing(server.url), what="a webhook that is being written")
            time.sleep(rng.uniform(0, 0.4))
            if number % 4 == 3:
                site.kill()
                site.start()
            else:
                site.kill_workers()
            faults.end()
            wait_for_consistency(server.url, clerk)
        statuses = Counter(each.status for each in clerk.emulator.deliveries.attempts)
        ledger = query(server.url, "SELECT outcome, count(*) FROM webhooks_webhookevent GROUP BY 1")
        events = {change.svix_id for change in clerk.emulator.changes}
        written = query(server.url, "SELECT svix_id FROM webhooks_webhookevent")
        assert sorted(events) == sorted(svix_id for (svix_id,) in written), (
            "the ledger has not one row for each event"
        )
        assert not {"failed"} & {outcome for outcome, _ in ledger}
        assert set(statuses) <= {200, 503, None}
    return {
        "kills": kills,
        "events": len(events),
        "attempts by status (None: no response)": dict(statuses),
        "ledger": dict(ledger),
    }


def _is_writing(address: str) -> bool:
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        return found.fetchone() is not None
