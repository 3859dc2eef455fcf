"""The commands under a router: they read and write only the write database."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.bulk.runs import AlreadyRunning, single_run
from accounts.models import DeletedBy, SyncRun, User
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.factories import UserFactory
from tests.health.rows import event, failures, run
from tests.routers.conftest import Routed
from tests.routers.databases import ALIASES
from webhooks.models import WebhookEvent

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.postgresql,
    pytest.mark.own_session,
]
OLD = timezone.now() - timedelta(days=40)


def command(*arguments: str) -> tuple[int, Any]:
    """Run a command that prints JSON; return exit code and report."""
    output = StringIO()
    try:
        call_command(*arguments, "--json", stdout=output, stderr=StringIO())
    except SystemExit as ending:
        return int(str(ending.code)), json.loads(output.getvalue())
    return 0, json.loads(output.getvalue())


def printed(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def found(report: dict[str, Any]) -> dict[str, int]:
    return {kind: each["found"] for kind, each in report["drift"].items() if each["found"]}


def test_backfill_creates_each_user_once(routed: Routed, clerk: LocalClerk) -> None:
    code, report = command("backfill_users")
    assert (code, report["created"], report["failed"]) == (0, len(clerk.people), 0)
    routed.catch_up()
    clerk.update("ada", first_name="Augusta")
    code, report = command("backfill_users")
    assert (code, report["created"], report["updated"]) == (0, 0, 1)
    assert User.objects.using(routed.write).count() == len(clerk.people)
    runs = SyncRun.objects.using(routed.write).values_list("status", flat=True)
    assert list(runs) == ["done", "done"]


def test_backfill_continues_at_the_cursor_of_the_last_run(routed: Routed, clerk: LocalClerk) -> None:
    command("backfill_users")
    routed.catch_up()
    SyncRun.objects.using(routed.write).update(status="failed")
    assert command("backfill_users")[1]["seen"] == len(clerk.people)
    assert SyncRun.objects.using(routed.write).get().status == "done"


def test_reconcile_applies_the_differences(routed: Routed, clerk: LocalClerk) -> None:
    clerk.make_up(20)
    command("backfill_users")
    routed.catch_up()
    deleted = clerk.person("person1")
    clerk.delete(deleted)
    clerk.update("person2", first_name="Changed")
    new = clerk.new_person(first_name="New")
    code, report = command("reconcile_users", "--apply")
    assert found(report) == {"missing_here": 1, "stale_here": 1, "deleted_in_clerk": 1}
    assert (code, report["drift_left"]) == (0, 0)
    rows = User.objects.using(routed.write)
    assert rows.get(clerk_id=deleted.id).deleted_by == DeletedBy.CLERK
    assert rows.get(clerk_id=clerk.person("person2").id).first_name == "Changed"
    assert rows.filter(clerk_id=new.id).count() == 1
    routed.catch_up()
    assert found(command("reconcile_users", "--apply")[1]) == {}


def test_reconcile_finds_a_deleted_row_that_is_alive_in_clerk(routed: Routed, clerk: LocalClerk) -> None:
    command("backfill_users")
    routed.catch_up()
    ada = User.objects.using(routed.write).filter(clerk_id=clerk.person("ada").id)
    ada.update(deleted_at=OLD, deleted_by=DeletedBy.CLERK)
    assert found(command("reconcile_users", "--apply")[1]) == {"deleted_here_but_alive_in_clerk": 1}
    assert ada.get().deleted_at is None


def test_link_users_links_and_links_only_once(routed: Routed, clerk: LocalClerk) -> None:
    old = User.objects.create_user("old", email="ada@example.test", password="the old password")
    routed.catch_up()
    assert command("link_users", "--apply")[1]["decisions"][0]["reason"] == "by_verified_email"
    row = User.objects.using(routed.write).get(pk=old.pk)
    assert (row.clerk_id, row.has_usable_password()) == (clerk.person("ada").id, False)
    assert command("link_users", "--apply")[1]["decisions"] == []


def test_scrub_erases_locally_deleted_users(routed: Routed) -> None:
    user = UserFactory.create()
    routed.catch_up()
    User.objects.using(routed.write).update(deleted_at=OLD, deleted_by=DeletedBy.LOCAL)
    assert "1 rows lost" in printed("scrub_deleted_users", "--older-than", "30")
    assert User.objects.using(routed.write).get(pk=user.pk).email is None
    assert "0 rows" in printed("scrub_deleted_users", "--older-than", "30", "--dry-run")


def test_prune_history_deletes_old_rows(routed: Routed) -> None:
    for at in (OLD, timezone.now()):
        event(at=at)
        run(at=at)
        SyncFailure.objects.record([failures("user_a", at=at)], now=at)
        SyncFailure.objects.close_for(["user_a"], at=at)
    lines = printed("prune_history", "--older-than", "30").splitlines()
    assert lines == ["deleted 1 webhook events", "deleted 1 closed failures", "deleted 1 finished runs"]
    left = [model.objects.using(routed.write).count() for model in (WebhookEvent, SyncFailure, SyncRun)]
    assert left == [1, 1, 1]


def test_lock_of_a_run_is_in_the_write_database(routed: Routed) -> None:
    with single_run("backfill"), pytest.raises(AlreadyRunning), single_run("backfill"):
        pass
