"""Two versions side by side: the last release on the tables of the next version, and the other way round."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from devclerk.wire import event_object
from tests.deploy.context import unpack
from tests.proof.environment import clerk_instance
from tests.proof.rows import differences, query
from tests.proof.site import Site, database, emulator_settings, wait_until
from tests.releases import COLUMN, MODELS, add_column, unpack_last_release

# Each ends with exit status 0.
COMMANDS = (
    ("backfill_users",),
    ("reconcile_users",),
    ("scrub_deleted_users", "--older-than", "0"),
    ("prune_history", "--older-than", "0"),
)


def the_last_release_serves_on_the_newest_tables(*, seed: int) -> Mapping[str, object]:
    """The code of the last release handles each kind of request and event on the tables of this version."""
    return {
        "on the tables of this version": serve_last_release(columns={}),
        "with a further column in each table": serve_last_release(columns=dict.fromkeys(MODELS, COLUMN)),
    }


def serve_last_release(*, columns: Mapping[str, str]) -> str:
    """Serve with the last release after the migrations of this version, and after one for each of `columns`.

    Raises AssertionError for the first wrong answer.
    """
    with (
        tempfile.TemporaryDirectory() as old,
        tempfile.TemporaryDirectory() as new,
        clerk_instance() as clerk,
        database() as server,
    ):
        unpack_last_release(Path(old))
        unpack(Path(new))
        for model, column in columns.items():
            add_column(Path(new), model=model, column=column)
        settings = emulator_settings(clerk)
        migrated = Site(clerk, database=server.url, workers=0, code=Path(new), **settings)
        assert migrated.manage("migrate", "-v0").returncode == 0
        with Site(clerk, database=server.url, workers=1, code=Path(old), **settings) as site:
            answers = _send_requests(site, clerk) + _deliver_events(site, clerk)
            _fail_to_store_a_name(site, clerk, address=server.url)
        for command in COMMANDS:
            done = site.manage(*command)
            assert done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}"
        assert not differences(server.url, clerk), differences(server.url, clerk)
    return f"{answers} answers, {len(COMMANDS)} commands"


def _send_requests(site: Site, clerk: LocalClerk) -> int:
    ada = clerk.new_person(first_name="Ada")
    for what, name in (("first", "Ada"), ("warm", "Ada"), ("changed claims", "Augusta")):
        ada = clerk.update(ada, first_name=name)
        answer = site.me(site.mint(ada))
        assert answer.status_code == 200, f"{what} request: {answer.status_code} {answer.text}"
        assert answer.json()["first_name"] == name, what
    return 3


def _deliver_events(site: Site, clerk: LocalClerk) -> int:
    bea = clerk.new_person(first_name="Bea")
    _deliver(site, clerk, bea, type="user.created", outcome="created")
    bea = clerk.update(bea, first_name="Beatrix")
    _deliver(site, clerk, bea, type="user.updated", outcome="updated")
    _deliver(site, clerk, bea, type="user.updated", outcome="duplicate")
    clerk.delete(bea)
    _deliver(site, clerk, bea, type="user.deleted", outcome="deleted")
    refused = site.me(site.mint(bea))
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (401, "user_deleted")
    return 5


def _deliver(site: Site, clerk: LocalClerk, user: ClerkUser, *, type: str, outcome: str) -> None:  # noqa: A002
    event = event_object(Change(type=type, user=user, at=user.updated_at), instance_id=clerk.instance_id)
    answer = site.deliver(event, svix_id=f"msg_{type}_{user.id}")
    assert answer.status_code == 200, f"webhook {type}: {answer.status_code} {answer.text}"
    assert answer.json()["outcome"] == outcome, f"webhook {type}: {answer.text}"


def _fail_to_store_a_name(site: Site, clerk: LocalClerk, *, address: str) -> None:
    """Send a name that no row can hold; raise AssertionError if the failure is not recorded."""
    cleo = clerk.new_person(first_name="Cleo" * 100)
    answer = site.me(site.mint(cleo))
    assert answer.status_code == 200, f"a name that is too long: {answer.status_code} {answer.text}"
    recorded = query(address, "SELECT reason FROM health_syncfailure WHERE clerk_id = %s", cleo.id)
    assert recorded == [("unusable_field:first_name",)], f"a name that is too long: recorded {recorded}"
    clerk.delete(cleo)
    _deliver(site, clerk, cleo, type="user.deleted", outcome="deleted")


def this_version_waits_for_its_migrations(*, seed: int) -> Mapping[str, object]:
    """The next version on the tables of the last release is not ready, in one word, until it migrates."""
    return {"answers before and after the migration": wait_for_migrations()}


def wait_for_migrations() -> str:
    """Start the next version on the tables of the last release and migrate them meanwhile."""
    with (
        tempfile.TemporaryDirectory() as old,
        tempfile.TemporaryDirectory() as new,
        clerk_instance() as clerk,
        database() as server,
    ):
        unpack_last_release(Path(old))
        unpack(Path(new))
        add_column(Path(new), model="user", column=COLUMN)
        settings = emulator_settings(clerk)
        released = Site(clerk, database=server.url, workers=0, code=Path(old), **settings)
        assert released.manage("migrate", "-v0").returncode == 0
        site = Site(clerk, database=server.url, workers=1, code=Path(new), **settings)
        try:
            site.start()
            wait_until(lambda: site.get("/health/live").status_code == 200, what="a live process")
            before = site.get("/health/ready")
            assert (before.status_code, before.json()) == (503, {"status": "migrations_pending"}), before.text
            assert site.manage("migrate", "-v0").returncode == 0
            seconds = wait_until(site.is_ready, what="readiness after the migration")
        finally:
            site.kill()
    return f"{before.status_code} {before.json()['status']}, then 200 within {seconds:.1f} s"
