"""The database goes away under load; the server is killed in the middle of a webhook."""

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
from proof.clients import Answer, Ask, Load, slowest, table
from proof.rows import await_truth, query
from proof.site import Site, database, wait_until
from proof.stage import clerk_instance
from proof.trouble import trouble_in

WORKERS, CLIENTS, PEOPLE = 8, 12, 40
# Svix waits longer; what counts is that it comes again.
RESEND = (0.3,) * 200


def a_restarted_database_gives_only_200_and_503(*, seed: int) -> Mapping[str, object]:
    """A database stopped, crashed and started under load: only 200 and 503, and at once well again."""
    return restart_under_load(seed=seed, restarts=5, workers=WORKERS)


def restart_under_load(*, seed: int, restarts: int, workers: int) -> Mapping[str, object]:
    """Restart the database so often, every second time by a crash, and return what the clients saw."""
    outages: list[tuple[float, float]] = []
    with (
        clerk_instance(users=PEOPLE, retry_schedule=RESEND) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers) as site,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        with Load(questions(site, clerk), clients=CLIENTS, seed=seed) as load:
            for number in range(restarts):
                time.sleep(2)
                down = time.monotonic()
                server.stop(crash=bool(number % 2))
                wait_until(partial(load.has_seen, 503, since=down), what="an answer during the outage")
                time.sleep(1)
                server.start()
                outages.append((down, time.monotonic()))
            time.sleep(3)
        statuses = Counter(each.status for each in load.answers)
        assert set(statuses) == {200, 503}, f"clients saw {statuses} {table(load.answers)}"
        late = [each for each in load.answers if each.status != 200 and not _meets(each, outages)]
        assert not late, f"not well again at once: {late} {outages}"
        await_truth(server.url, clerk)
        resent = Counter(each.status for each in clerk.emulator.deliveries.attempts)
    assert set(resent) <= {200, 503}
    return {
        "workers, clients, restarts": f"{workers}, {CLIENTS}, {restarts}",
        "seconds away": ", ".join(f"{end - begin:.1f}" for begin, end in outages),
        "answers other than 200 to requests made outside of an outage": len(late),
        "longest wait": slowest(load.answers),
        "attempts to deliver webhooks": dict(resent),
        "what the clients saw": table(load.answers),
    }


def questions(site: Site, clerk: LocalClerk) -> Mapping[str, Ask]:
    """Give what people do: come back, come for the first time, with changed claims; webhooks come too."""
    known = clerk.people[-PEOPLE:]
    tokens = {person.id: site.mint(person) for person in known if not person.banned}

    def warm(chance: random.Random) -> requests.Response:
        return site.me(chance.choice(list(tokens.values())))

    def first(chance: random.Random) -> requests.Response:
        return site.me(site.mint(clerk.new_person(first_name="New")))

    def changed(chance: random.Random) -> requests.Response:
        person = clerk.person(chance.choice(list(tokens)))
        person = clerk.update(person, first_name=chance.choice(["Ada", "Bea", "Cleo"]))
        return site.me(site.mint(person))

    def webhook(chance: random.Random) -> requests.Response:
        person = clerk.person(chance.choice(list(tokens)))
        change = Change(type="user.updated", user=person, at=person.updated_at)
        return site.deliver(event_object(change, instance_id=clerk.instance_id))

    return {"warm": warm, "first request": first, "changed claims": changed, "webhook": webhook}


def _meets(answer: Answer, outages: list[tuple[float, float]]) -> bool:
    return any(answer.began <= end and answer.ended >= begin for begin, end in outages)


def a_server_killed_in_the_middle_of_a_webhook_loses_nothing(*, seed: int) -> Mapping[str, object]:
    """Workers and servers killed with -9 while a webhook is written: sent again, each has one effect."""
    return kill_amid_webhooks(seed=seed, kills=12)


def kill_amid_webhooks(*, seed: int, kills: int) -> Mapping[str, object]:
    """Kill so often, at a write or at its commit, every fourth time the whole server."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with (
        clerk_instance(retry_schedule=RESEND) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=2) as site,
        trouble_in(server.url) as trouble,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        people = [clerk.new_person(first_name="New") for _ in range(10)]
        for number in range(kills):
            person = chance.choice(people)
            clerk.update(person, first_name=f"Name {number}")
            trouble.begin("sleep 0.5", at=chance.choice(["write", "commit"]))
            wait_until(lambda: _is_writing(server.url), what="a webhook in the middle of its work")
            time.sleep(chance.uniform(0, 0.4))
            if number % 4 == 3:
                site.kill()
                site.start()
            else:
                site.kill_workers()
            trouble.end()
            await_truth(server.url, clerk)
        statuses = Counter(each.status for each in clerk.emulator.deliveries.attempts)
        ledger = query(server.url, "SELECT outcome, count(*) FROM webhooks_webhookevent GROUP BY 1")
        events = {change.svix_id for change in clerk.emulator.changes}
        written = query(server.url, "SELECT svix_id FROM webhooks_webhookevent")
        assert sorted(events) == sorted(svix_id for (svix_id,) in written), "not one row for each event"
        assert not {"failed"} & {outcome for outcome, _ in ledger}
        assert set(statuses) <= {200, 503, None}
    return {
        "kills": kills,
        "events": len(events),
        "attempts by status (None: the answer never came)": dict(statuses),
        "ledger": dict(ledger),
    }


def _is_writing(address: str) -> bool:
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        return found.fetchone() is not None
