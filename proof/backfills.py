"""Backfills: killed again and again, and two of them beside live traffic."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping

import requests

from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from proof.clients import Ask, Load, table
from proof.rows import await_truth, people, query
from proof.site import Site, against, database, wait_until
from proof.stage import clerk_instance

RESEND = (0.3,) * 200


def a_backfill_killed_twenty_times_ends_as_an_undisturbed_one(*, seed: int) -> Mapping[str, object]:
    """`backfill_users` killed with -9 twenty times at random moments leaves the same rows as undisturbed."""
    return kill_backfills(seed=seed, users=5000, kills=20)


def kill_backfills(*, seed: int, users: int, kills: int) -> Mapping[str, object]:
    """Kill so many backfills of so many people; raise AssertionError if the end differs."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    stopped_at: list[int] = []
    rounds = 0
    with clerk_instance(users=users) as clerk, database() as server:
        site = Site(clerk, database=server.url, workers=0, **against(clerk))
        assert site.manage("migrate", "-v0").returncode == 0
        assert site.manage("backfill_users").returncode == 0
        undisturbed = _state(server.url)
        assert len(undisturbed) == len(clerk.people)
        _empty(server.url)
        while len(stopped_at) < kills:
            if _killed(site, clerk, chance=chance):
                stopped_at.append(len(people(server.url)))
                if stopped_at[-1] < len(undisturbed):
                    continue
                # Everybody is there: it may end, so that the next kills meet pages again.
                assert site.manage("backfill_users").returncode == 0
            rounds += 1
            _must_equal(_state(server.url), undisturbed)
            _empty(server.url)
        last = site.manage("backfill_users", "--json")
        assert last.returncode == 0, last.stderr
        _must_equal(_state(server.url), undisturbed)
        left = query(server.url, "SELECT count(*) FROM accounts_syncrun WHERE status = 'running'")
        assert left == [(0,)], "a run still says running"
    return {
        "people": len(undisturbed),
        "kills": len(stopped_at),
        "backfills that ended in between, and the last one": f"{rounds} + 1",
        "rows there at each kill": ", ".join(map(str, stopped_at)),
    }


def _killed(site: Site, clerk: LocalClerk, *, chance: random.Random) -> bool:
    """Start a backfill and kill it a moment after one of its next pages; tell if it had not ended before."""
    asked = clerk.emulator.users_api.requests
    enough = len(asked) + chance.randint(2, 5)
    process = site.begin("backfill_users")
    wait_until(lambda: len(asked) >= enough or process.poll() is not None, what="a page")
    time.sleep(chance.uniform(0, 0.1))
    is_killed = process.poll() is None
    process.kill()
    _, errors = process.communicate()
    assert is_killed or process.returncode == 0, errors
    return is_killed


def _state(address: str) -> dict[str, object]:
    rows = query(address, "SELECT clerk_id, field_versions::text FROM accounts_user")
    versions = dict(rows)
    assert len(versions) == len(rows), "somebody has several rows"
    return {clerk_id: (row, versions[clerk_id]) for clerk_id, row in people(address).items()}


def _must_equal(found: dict[str, object], expected: dict[str, object]) -> None:
    differing = [clerk_id for clerk_id in found | expected if found.get(clerk_id) != expected.get(clerk_id)]
    assert not differing, f"{len(differing)} people differ from the undisturbed run, {differing[0]} for one"


def _empty(address: str) -> None:
    query(address, "WITH gone AS (DELETE FROM accounts_syncrun) DELETE FROM accounts_user RETURNING 1")


def two_backfills_beside_live_traffic_end_in_the_truth(*, seed: int) -> Mapping[str, object]:
    """Two backfills at once, a reconciliation, requests, webhooks: nothing is lost, all ends in the truth."""
    return backfill_amid_traffic(seed=seed, users=3000, workers=4)


def backfill_amid_traffic(*, seed: int, users: int, workers: int) -> Mapping[str, object]:
    """Run two backfills and a reconciliation of so many people while clients ask and people change."""
    with (
        clerk_instance(users=users, retry_schedule=RESEND) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers, **against(clerk)) as site,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        with Load(_traffic(site, clerk), clients=6, seed=seed) as load:
            both = [site.begin("backfill_users"), site.begin("backfill_users")]
            third = site.begin("reconcile_users", "--apply", "--allow-mass-deletion")
            endings = sorted(_ending(process) for process in both)
            reconciled = _ending(third)
        await_truth(server.url, clerk)
        walked = site.manage("backfill_users")
        assert walked.returncode == 0, walked.stderr
        await_truth(server.url, clerk)
        assert len(people(server.url)) == len(clerk.people)
        statuses = Counter((each.kind, each.status, each.code) for each in load.answers)
        allowed = {200, 401, 403}
        assert {status for _, status, _ in statuses} <= allowed, table(load.answers)
        assert {code for _, status, code in statuses if status == 401} <= {"user_deleted"}, table(
            load.answers
        )
        assert endings in ([0, 2], [0, 0]), f"the two backfills ended with {endings}"
        assert reconciled in {0, 1}
    return {
        "people": len(clerk.people),
        "the two backfills ended with": endings,
        "what the clients saw": table(load.answers),
    }


def _ending(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def _traffic(site: Site, clerk: LocalClerk) -> Mapping[str, Ask]:
    turn = threading.Lock()  # a person is changed or deleted by one client at a time
    directory = clerk.emulator.directory

    def somebody(chance: random.Random) -> ClerkUser:
        return directory.list_users(offset=chance.randrange(len(directory)), limit=1)[0]

    def sign_in(chance: random.Random) -> requests.Response:
        with turn:
            token = site.mint(somebody(chance))
        return site.me(token)

    def change(chance: random.Random) -> requests.Response:
        with turn:
            person = clerk.update(somebody(chance), first_name=chance.choice(["Ada", "Bea", "Cleo"]))
            token = site.mint(person)
        return site.me(token)

    def delete(chance: random.Random) -> requests.Response:
        with turn:
            person = somebody(chance)
            token = site.mint(person)
            clerk.delete(person)
        return site.me(token)

    return {"sign in": sign_in, "change and sign in": change, "delete and sign in": delete}
