"""`reconcile_users`: each kind of difference is found, and fixed on request."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from pytest_django import Settings
from werkzeug import Request, Response

from accounts.bulk.runs import single_run
from accounts.clerk.profiles import Source
from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from tests.accounts import programs
from tests.accounts.bulk.commands import get_found, run_json
from tests.accounts.plans import find_table_scans, plans
from tests.accounts.wire import Wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def reconcile(*arguments: str) -> tuple[int, dict[str, Any]]:
    return run_json("reconcile_users", *arguments)


def get_live_row(user: ClerkUser) -> User | None:
    return User.objects.by_clerk_id(user.id)


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd", "users")
def test_deleted_rows_are_found_by_an_index(clerk: LocalClerk) -> None:
    # The rows of `crowd` are not in Clerk, and stay: deleting them would be a mass deletion.
    for user in (clerk.person("person1"), clerk.person("person2")):
        delete_user(user.id, at=1, source=Source.API)
    with plans() as found_plans:
        reconcile("--apply")
    assert found_plans
    assert find_table_scans(found_plans) == []


@pytest.mark.usefixtures("users")
def test_equal_rows_are_no_difference() -> None:
    status, report = reconcile()
    assert (status, get_found(report)) == (0, {})
    assert reconcile("--apply")[0] == 0


def test_missing_row_is_found_and_created(clerk: LocalClerk, users: list[ClerkUser]) -> None:
    new = clerk.new_person(first_name="New")
    status, report = reconcile()
    assert (status, get_found(report)) == (1, {"missing_here": 1})
    assert report["drift"]["missing_here"]["clerk_ids"] == [new.id]
    assert get_live_row(new) is None
    assert reconcile("--apply")[0] == 0
    assert get_live_row(new) is not None
    assert reconcile()[0] == 0


def test_missed_update_is_found_and_fixed(clerk: LocalClerk, users: list[ClerkUser]) -> None:
    clerk.update(users[3], first_name="Other")
    status, report = reconcile()
    assert (status, get_found(report)) == (1, {"stale_here": 1})
    assert reconcile("--apply")[0] == 0
    row = get_live_row(users[3])
    assert row is not None
    assert row.first_name == "Other"


def test_user_deleted_in_clerk_is_found_and_deleted(clerk: LocalClerk, users: list[ClerkUser]) -> None:
    clerk.delete(users[3])
    status, report = reconcile()
    assert (status, get_found(report)) == (1, {"deleted_in_clerk": 1})
    assert get_live_row(users[3]) is not None
    assert reconcile("--apply")[0] == 0
    row = User.objects.get(clerk_id=users[3].id)
    assert (row.deleted_by, row.deleted_at is None) == (DeletedBy.CLERK, False)
    assert reconcile()[0] == 0


def test_wrongly_deleted_row_is_found_and_restored(users: list[ClerkUser]) -> None:
    delete_user(users[3].id, at=users[3].updated_at + 1000)
    status, report = reconcile()
    assert (status, get_found(report)) == (1, {"deleted_here_but_alive_in_clerk": 1})
    assert get_live_row(users[3]) is None
    assert reconcile("--apply")[0] == 0
    assert get_live_row(users[3]) is not None
    assert reconcile()[0] == 0


@pytest.mark.parametrize("is_restored", [True, False])
def test_implausible_date_is_not_stored(
    clerk: LocalClerk, users: list[ClerkUser], monkeypatch: pytest.MonkeyPatch, *, is_restored: bool
) -> None:
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    if is_restored:
        delete_user(users[3].id, at=users[3].updated_at + 1000)
    else:
        clerk.delete(users[3])
    assert reconcile("--apply")[0] == 0
    row = User.objects.get(clerk_id=users[3].id)
    tomorrow = timezone.now() + timedelta(days=1)
    moment = row.restored_at if is_restored else row.deleted_at
    assert moment is not None
    assert moment < tomorrow


@pytest.mark.postgresql
def test_user_deleted_during_the_request_is_not_restored(users: list[ClerkUser], wire: Wire) -> None:
    delete_user(users[3].id, at=users[3].updated_at + 1000)

    def delete(request: Request, response: Response) -> Response:
        if request.path.endswith(users[3].id):
            delete_user(users[3].id, at=time.time_ns() // 1_000_000)
            connections.close_all()
        return response

    wire.tamper = delete
    assert reconcile("--apply")[0] == 1
    assert get_live_row(users[3]) is None


def test_rows_deleted_by_an_operator_are_information(users: list[ClerkUser]) -> None:
    row = get_live_row(users[3])
    assert row is not None
    delete_locally(row)
    status, report = reconcile("--apply")
    assert (status, get_found(report)) == (0, {})
    assert report["information"]["deleted_here"] == 1
    assert get_live_row(users[3]) is None


def test_shared_addresses_are_information_without_the_address(
    clerk: LocalClerk, users: list[ClerkUser]
) -> None:
    twin = clerk.new_person(email=str(users[3].email).upper())
    status, report = reconcile("--apply")
    assert status == 0
    assert report["information"]["shared_addresses"] == [sorted([users[3].id, twin.id])]
    assert str(users[3].email) not in json.dumps(report).lower()


def test_user_without_usable_id_stays_a_difference(clerk: LocalClerk, users: list[ClerkUser]) -> None:
    clerk.new_person(raw={"id": None})
    assert reconcile("--apply")[0] == 1
    status, report = reconcile()
    assert (status, get_found(report)) == (1, {"failed_to_store": 1})


def test_local_staff_are_no_difference(users: list[ClerkUser]) -> None:
    User.objects.create_superuser("boss", password="a long enough word")
    assert reconcile("--apply")[0] == 0
    assert User.objects.filter(username="boss", deleted_at=None).exists()


def test_second_run_at_the_same_time_is_refused() -> None:
    with single_run(SyncRun.Kind.RECONCILE), single_run(SyncRun.Kind.BACKFILL):
        pass
    with single_run(SyncRun.Kind.RECONCILE), pytest.raises(CommandError, match="running") as error:
        call_command("reconcile_users", stdout=StringIO())
    assert error.value.returncode == 2


def test_missing_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        call_command("reconcile_users")
    assert error.value.returncode == 2


def test_process_has_the_exit_status_and_prints_no_personal_data(
    clerk: LocalClerk, users: list[ClerkUser]
) -> None:
    assert programs.run("reconcile_users", clerk=clerk).returncode == 0
    clerk.update("ada", first_name="Augusta")
    drifted = programs.run("reconcile_users", clerk=clerk)
    assert drifted.returncode == 1
    assert clerk.person("ada").id in drifted.stdout
    assert "Augusta" not in drifted.stdout + drifted.stderr
    assert "@" not in drifted.stdout
    assert programs.run("reconcile_users", "--apply", clerk=clerk).returncode == 0
    wrong = programs.run("reconcile_users", clerk=clerk, CLERK_SECRET_KEY="sk_test_Wrong")
    assert wrong.returncode == 2
    assert "sk_test_Wrong" not in wrong.stdout + wrong.stderr
