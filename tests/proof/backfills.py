"""Backfills that are killed repeatedly, and two concurrent backfills with live traffic."""

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
from tests.proof.clients import Load, Send, format_table
from tests.proof.environment import clerk_instance
from tests.proof.rows import live_users, query, wait_for_consistency
from tests.proof.site import Site, database, emulator_settings, wait_until
from tests.proof.tables import IDENTITY_TABLE, USER_TABLES

RETRY_SECONDS = (0.3,) * 200


def a_backfill_killed_twenty_times_ends_like_an_undisturbed_one(*, seed: int) -> Mapping[str, object]:
    """`backfill_users`, killed with -9 at twenty random moments, leaves the rows of an undisturbed run."""
    return kill_backfills(seed=seed, users=5000, kills=20)


def kill_backfills(*, seed: int, users: int, kills: int) -> Mapping[str, object]:
    """Kill this number of backfills; raise AssertionError if the final rows differ."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    stopped_at: list[int] = []
    rounds = 0
    with clerk_instance(users=users) as clerk, database() as server:
        site = Site(clerk, database=server.url, workers=0, **emulator_settings(clerk))
        assert site.manage("migrate", "-v0").returncode == 0
        assert site.manage("backfill_users").returncode == 0
        undisturbed = _state(server.url)
        assert len(undisturbed) == len(clerk.people)
        _empty(server.url)
        while len(stopped_at) < kills:
            if _kill_backfill(site, clerk, rng=rng):
                stopped_at.append(len(live_users(server.url)))
                if stopped_at[-1] < len(undisturbed):
                    continue
                # All users are stored: let a run complete, so that the next kills interrupt pages again.
                assert site.manage("backfill_users").returncode == 0
            rounds += 1
            _assert_equal(_state(server.url), undisturbed)
            _empty(server.url)
        last = site.manage("backfill_users", "--json")
        assert last.returncode == 0, last.stderr
        _assert_equal(_state(server.url), undisturbed)
        left = query(server.url, "SELECT count(*) FROM accounts_syncrun WHERE status = 'running'")
        assert left == [(0,)], "a run still has the status running"
    return {
        "users": len(undisturbed),
        "kills": len(stopped_at),
        "backfills that completed in between, and the last one": f"{rounds} + 1",
        "rows at each kill": ", ".join(map(str, stopped_at)),
    }


def _kill_backfill(site: Site, clerk: LocalClerk, *, rng: random.Random) -> bool:
    """Start a backfill and kill it after one of its pages; return whether it was still running."""
    page_requests = clerk.emulator.users_api.requests
    threshold = len(page_requests) + rng.randint(2, 5)
    process = site.begin("backfill_users")
    wait_until(lambda: len(page_requests) >= threshold or process.poll() is not None, what="a page")
    time.sleep(rng.uniform(0, 0.1))
    is_killed = process.poll() is None
    process.kill()
    _, errors = process.communicate()
    assert is_killed or process.returncode == 0, errors
    return is_killed


def _state(address: str) -> dict[str, object]:
    rows = query(address, f"SELECT clerk_id, field_versions::text FROM {IDENTITY_TABLE}")  # noqa: S608
    versions = dict(rows)
    assert len(versions) == len(rows), "a user has several rows"
    return {clerk_id: (row, versions[clerk_id]) for clerk_id, row in live_users(address).items()}


def _assert_equal(found: dict[str, object], expected: dict[str, object]) -> None:
    differing = [clerk_id for clerk_id in found | expected if found.get(clerk_id) != expected.get(clerk_id)]
    assert not differing, f"{len(differing)} users differ from the undisturbed run: {differing[:3]}"


def _empty(address: str) -> None:
    for table in (*USER_TABLES, "accounts_syncrun"):
        query(address, f"DELETE FROM {table} RETURNING 1")  # noqa: S608 - constant names


def two_backfills_with_live_traffic_end_in_the_true_rows(*, seed: int) -> Mapping[str, object]:
    """Two concurrent backfills, a reconciliation, requests and webhooks: at the end all rows equal Clerk."""
    return backfill_during_traffic(seed=seed, users=3000, workers=4)


def backfill_during_traffic(*, seed: int, users: int, workers: int) -> Mapping[str, object]:
    """Run two backfills and a reconciliation while clients send requests and users change in Clerk."""
    with (
        clerk_instance(users=users, retry_schedule=RETRY_SECONDS) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers, **emulator_settings(clerk)) as site,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        with Load(_traffic(site, clerk), clients=6, seed=seed) as load:
            both = [site.begin("backfill_users"), site.begin("backfill_users")]
            third = site.begin("reconcile_users", "--apply", "--allow-mass-deletion")
            exit_codes = sorted(_wait_for_exit(process) for process in both)
            reconciled = _wait_for_exit(third)
        wait_for_consistency(server.url, clerk)
        final = site.manage("backfill_users")
        assert final.returncode == 0, final.stderr
        wait_for_consistency(server.url, clerk)
        assert len(live_users(server.url)) == len(clerk.people)
        statuses = Counter((each.kind, each.status, each.code) for each in load.answers)
        allowed = {200, 401, 403}
        assert {status for _, status, _ in statuses} <= allowed, format_table(load.answers)
        assert {code for _, status, code in statuses if status == 401} <= {"user_deleted"}, format_table(
            load.answers
        )
        assert exit_codes in ([0, 2], [0, 0]), f"the exit codes of the two backfills are {exit_codes}"
        assert reconciled in {0, 1}
    return {
        "users": len(clerk.people),
        "exit codes of the two backfills": exit_codes,
        "responses to the clients": format_table(load.answers),
    }


def _wait_for_exit(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def _traffic(site: Site, clerk: LocalClerk) -> Mapping[str, Send]:
    lock = threading.Lock()  # a user is changed or deleted by one client at a time
    directory = clerk.emulator.directory

    def choose_user(rng: random.Random) -> ClerkUser:
        return directory.list_users(offset=rng.randrange(len(directory)), limit=1)[0]

    def sign_in(rng: random.Random) -> requests.Response:
        with lock:
            token = site.mint(choose_user(rng))
        return site.me(token)

    def change(rng: random.Random) -> requests.Response:
        with lock:
            user = clerk.update(choose_user(rng), first_name=rng.choice(["Ada", "Bea", "Cleo"]))
            token = site.mint(user)
        return site.me(token)

    def delete(rng: random.Random) -> requests.Response:
        with lock:
            user = choose_user(rng)
            token = site.mint(user)
            clerk.delete(user)
        return site.me(token)

    return {"sign in": sign_in, "change and sign in": change, "delete and sign in": delete}
