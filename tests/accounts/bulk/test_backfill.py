"""`backfill_users`: every user is stored once, also after failures and interruptions."""

from __future__ import annotations

import json
import os
import signal
import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from werkzeug import Request, Response

from accounts.bulk.backfill import backfill as run_backfill
from accounts.bulk.runs import single_run
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.models import SyncRun, User
from devclerk.fixtures import LocalClerk
from tests.accounts import programs
from tests.accounts.bulk.commands import run_json
from tests.accounts.wire import Wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
WRITES = ("INSERT", "UPDATE", "DELETE")


def backfill(*arguments: str) -> tuple[int, dict[str, Any]]:
    return run_json("backfill_users", *arguments)


def get_row_versions() -> dict[str, tuple[Any, ...]]:
    """Return the physical version of each row, which changes with every write."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clerk_id, xmin::text, ctid::text FROM {User._meta.db_table}")  # noqa: S608
        return {clerk_id: version for clerk_id, *version in cursor.fetchall()}


def test_every_clerk_user_gets_a_row(clerk: LocalClerk) -> None:
    clerk.make_up(1200)
    users = len(clerk.emulator.directory)
    code, report = backfill()
    assert code == 0
    assert (report["seen"], report["created"], report["failed"]) == (users, users, 0)
    ada = User.objects.by_clerk_id(clerk.person("ada").id)
    assert ada is not None
    assert (ada.email, ada.email_verified, ada.first_name) == ("ada@example.test", True, "Ada")


@pytest.mark.parametrize("value", [b"9" * 4301, b"[" * 3000 + b"]" * 3000])
@pytest.mark.parametrize("command", ["backfill_users", "reconcile_users", "link_users"])
def test_unreadable_user_metadata_stops_no_command(
    clerk: LocalClerk, wire: Wire, command: str, value: bytes
) -> None:
    clerk.new_person(first_name="Eve", raw={"unsafe_metadata": {"x": "unreadable"}})

    def replace_metadata(_request: Request, response: Response) -> Response:
        response.set_data(response.get_data().replace(b'"unreadable"', value))
        return response

    wire.tamper = replace_metadata
    backfill()
    assert User.objects.filter(first_name="Eve").exists()
    call_command(command, stdout=StringIO())


def test_each_page_is_one_request(clerk: LocalClerk) -> None:
    clerk.make_up(1500 - len(clerk.emulator.directory))
    backfill()
    assert len(clerk.api_requests) <= 3 + 2


@pytest.mark.postgresql
def test_second_run_writes_no_row(clerk: LocalClerk) -> None:
    clerk.make_up(700)
    backfill()
    before = get_row_versions()
    code, report = backfill()
    assert (code, report["unchanged"]) == (0, report["seen"])
    assert get_row_versions() == before


@pytest.mark.postgresql
def test_second_run_writes_only_changed_rows(clerk: LocalClerk) -> None:
    clerk.make_up(700)
    backfill()
    before = get_row_versions()
    changed = clerk.update("ada", first_name="Augusta")
    code, report = backfill()
    assert (code, report["updated"]) == (0, 1)
    after = get_row_versions()
    assert {clerk_id for clerk_id in after if after[clerk_id] != before[clerk_id]} == {changed.id}


def test_dry_run_writes_nothing(clerk: LocalClerk) -> None:
    clerk.new_person(raw={"id": None})
    with CaptureQueriesContext(connection) as statements:
        code, report = backfill("--dry-run")
    assert code == 1
    assert report["created"] == len(clerk.emulator.directory) - 1
    assert not [each["sql"] for each in statements if each["sql"].lstrip().upper().startswith(WRITES)]
    assert not User.objects.exists()
    assert not SyncRun.objects.exists()


def test_limit_stores_the_oldest_users(clerk: LocalClerk) -> None:
    assert backfill("--limit", "2")[1]["created"] == 2
    assert set(User.objects.values_list("first_name", flat=True)) == {"Ada", "Grace"}
    assert backfill("--limit", "2")[1]["unchanged"] == 2
    code, report = backfill()
    assert (code, report["seen"]) == (0, len(clerk.emulator.directory))


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_invalid_limit_is_refused(number: str) -> None:
    with pytest.raises(CommandError):
        call_command("backfill_users", "--limit", number)


@pytest.mark.parametrize("raw", [{"id": None}, {"id": 7}, {"id": ""}])
def test_user_without_usable_id_is_counted_and_skipped(clerk: LocalClerk, raw: dict[str, Any]) -> None:
    clerk.new_person(raw=raw)
    code, report = backfill()
    assert code == 1
    assert report["failed"] == 1
    assert report["created"] == len(clerk.emulator.directory) - 1


def test_run_is_recorded(clerk: LocalClerk) -> None:
    backfill()
    run = SyncRun.objects.get()
    assert (run.kind, run.status, run.error) == (SyncRun.Kind.BACKFILL, SyncRun.Status.DONE, "")
    assert run.counts["created"] == len(clerk.emulator.directory)
    assert run.finished_at is not None
    assert run.started_at < run.finished_at


def refuse_pages_after_the_first(request: Request, response: Response) -> Response:
    refused = Response('{"errors": [{"code": "clerk_key_invalid"}]}', status=401)
    return refused if "starting_after" in request.args else response


def test_refused_page_exits_with_2_and_keeps_stored_pages(clerk: LocalClerk, wire: Wire) -> None:
    clerk.make_up(900)
    wire.tamper = refuse_pages_after_the_first
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        call_command("backfill_users")
    assert error.value.returncode == 2
    assert clerk.secret_key not in str(error.value)
    run = SyncRun.objects.get()
    assert (run.status, run.error) == (SyncRun.Status.FAILED, "ClerkAPIError")
    assert User.objects.count() == 500


def test_failed_run_resumes_after_its_last_page(clerk: LocalClerk, wire: Wire) -> None:
    clerk.make_up(900)
    wire.tamper = refuse_pages_after_the_first
    with pytest.raises(CommandError):
        call_command("backfill_users")
    wire.tamper = lambda _request, response: response
    wire.calls.clear()
    code, report = backfill()
    assert (code, report["seen"]) == (0, len(clerk.emulator.directory))
    assert [call for call in wire.calls if "limit" in call] == [
        call for call in wire.calls if "starting_after" in call
    ]
    assert User.objects.count() == len(clerk.emulator.directory)
    assert SyncRun.objects.get().status == SyncRun.Status.DONE


def test_network_failure_keeps_stored_pages(clerk: LocalClerk, wire: Wire) -> None:
    clerk.make_up(900)
    wire.tamper = lambda request, response: (
        Response("bad gateway", status=502) if "starting_after" in request.args else response
    )
    api = ClerkAPI(clerk.secret_key, base_url=wire.url, patience=0.2)
    with pytest.raises(ClerkAPIError):
        run_backfill(api, clock=timezone.now, report=lambda _: None)
    assert User.objects.count() == 500
    assert SyncRun.objects.get().cursor


def test_repeated_page_exits_with_2(clerk: LocalClerk, wire: Wire) -> None:
    clerk.make_up(900)
    first: list[Response] = []

    def repeat(request: Request, response: Response) -> Response:
        if "limit" in request.args:
            first.append(response)
            return first[0]
        return response

    wire.tamper = repeat
    with pytest.raises(CommandError, match="pages_do_not_advance") as error:
        call_command("backfill_users")
    assert error.value.returncode == 2


def test_429_is_retried(clerk: LocalClerk) -> None:
    clerk.api_fails(429, times=2, retry_after=1)
    assert backfill()[0] == 0


def test_wrong_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = "sk_test_Wrong"
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        call_command("backfill_users")
    assert error.value.returncode == 2
    assert "sk_test_Wrong" not in str(error.value)


def test_restart_starts_from_the_beginning(clerk: LocalClerk) -> None:
    clerk.make_up(600)
    SyncRun.objects.create(
        kind=SyncRun.Kind.BACKFILL,
        started_at="2026-01-01T00:00:00Z",
        status=SyncRun.Status.RUNNING,
        cursor=clerk.person("person599").id,
    )
    assert backfill("--restart")[1]["created"] == len(clerk.emulator.directory)


def test_finished_run_is_not_resumed(clerk: LocalClerk) -> None:
    backfill()
    clerk.new_person(first_name="New")
    assert backfill()[1]["created"] == 1
    assert SyncRun.objects.count() == 2


def test_missing_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        call_command("backfill_users")
    assert error.value.returncode == 2


def test_second_run_at_the_same_time_is_refused(clerk: LocalClerk) -> None:
    with single_run(SyncRun.Kind.BACKFILL):
        refused = programs.run("backfill_users", clerk=clerk)
    assert refused.returncode == 2
    assert "running" in refused.stderr
    assert not User.objects.exists()
    assert programs.run("backfill_users", clerk=clerk).returncode == 0


def test_killed_run_resumes_after_its_last_page(clerk: LocalClerk) -> None:
    clerk.make_up(5000)
    process = programs.start("backfill_users", clerk=clerk)
    try:
        cursor = wait_for_first_page()
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert 0 < User.objects.count() < 5000
    clerk.emulator.users_api.requests.clear()
    again = programs.run("backfill_users", "--json", clerk=clerk)
    assert again.returncode == 0, again.stderr
    requests = [request for request in clerk.emulator.users_api.requests if request.path == "/v1/users"]
    assert all(request.one("starting_after") >= cursor for request in requests)
    assert User.objects.count() == len(clerk.emulator.directory)
    assert json.loads(again.stdout)["seen"] >= len(clerk.emulator.directory)
    assert SyncRun.objects.get().status == SyncRun.Status.DONE


def wait_for_first_page() -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if run := SyncRun.objects.exclude(cursor="").first():
            return run.cursor
        time.sleep(0.01)
    raise AssertionError("no page was committed within 60 s")


def test_output_is_plain_and_has_no_personal_data(clerk: LocalClerk) -> None:
    done = programs.run("backfill_users", clerk=clerk)
    assert done.returncode == 0
    assert "created: 9" in done.stdout
    assert "\x1b" not in done.stdout
    for user in map(clerk.person, ("ada", "grace", "alan")):
        assert str(user.email) not in done.stdout + done.stderr
        assert str(user.first_name) not in done.stdout + done.stderr
