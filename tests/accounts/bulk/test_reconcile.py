"""`reconcile_users`: each kind of drift is found, mended on request, and nobody is deleted on suspicion."""

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

from accounts.bulk.reconcile import reconcile as run_reconcile
from accounts.bulk.runs import single_run
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.profiles import Source
from accounts.models import DeletedBy, SyncRun, User
from accounts.sync import delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from tests.accounts import programs
from tests.accounts.plans import plans, walks_for_an_id
from tests.accounts.wire import Wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


@pytest.fixture
def everybody(clerk: LocalClerk, clerk_settings: Settings) -> list[ClerkUser]:
    """Bring forty people here."""
    clerk.make_up(31)
    call_command("backfill_users", stdout=StringIO())
    return [clerk.person(f"person{number}") for number in range(31)]


def reconcile(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; give exit code and report."""
    output = StringIO()
    try:
        call_command("reconcile_users", "--json", *arguments, stdout=output, stderr=StringIO())
    except SystemExit as ending:
        return int(str(ending.code)), json.loads(output.getvalue())
    return 0, json.loads(output.getvalue())


def found(report: dict[str, Any]) -> dict[str, int]:
    return {kind: each["found"] for kind, each in report["drift"].items() if each["found"]}


def live(person: ClerkUser) -> User | None:
    return User.objects.by_clerk_id(person.id)


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd", "everybody")
def test_the_deleted_are_found_by_an_index(clerk: LocalClerk) -> None:
    # The crowd is unknown to Clerk, and stays: it would be a mass deletion.
    for person in (clerk.person("person1"), clerk.person("person2")):
        delete_user(person.id, at=1, source=Source.API)
    with plans() as found_plans:
        reconcile("--apply")
    assert found_plans
    assert walks_for_an_id(found_plans) == []


@pytest.mark.usefixtures("everybody")
def test_two_equal_sides_have_no_drift() -> None:
    code, report = reconcile()
    assert (code, found(report)) == (0, {})
    assert reconcile("--apply")[0] == 0


def test_somebody_missing_here_is_found_and_made(clerk: LocalClerk, everybody: list[ClerkUser]) -> None:
    new = clerk.new_person(first_name="New")
    code, report = reconcile()
    assert (code, found(report)) == (1, {"missing_here": 1})
    assert report["drift"]["missing_here"]["clerk_ids"] == [new.id]
    assert live(new) is None
    assert reconcile("--apply")[0] == 0
    assert live(new) is not None
    assert reconcile()[0] == 0


def test_an_edit_behind_our_back_is_found_and_mended(clerk: LocalClerk, everybody: list[ClerkUser]) -> None:
    clerk.update(everybody[3], first_name="Other")
    code, report = reconcile()
    assert (code, found(report)) == (1, {"stale_here": 1})
    assert reconcile("--apply")[0] == 0
    row = live(everybody[3])
    assert row is not None
    assert row.first_name == "Other"


def test_somebody_gone_from_clerk_is_found_and_deleted(clerk: LocalClerk, everybody: list[ClerkUser]) -> None:
    clerk.delete(everybody[3])
    code, report = reconcile()
    assert (code, found(report)) == (1, {"deleted_in_clerk": 1})
    assert live(everybody[3]) is not None
    assert reconcile("--apply")[0] == 0
    row = User.objects.get(clerk_id=everybody[3].id)
    assert (row.deleted_by, row.deleted_at is None) == (DeletedBy.CLERK, False)
    assert reconcile()[0] == 0


def test_somebody_deleted_here_by_mistake_but_alive_in_clerk_is_restored(everybody: list[ClerkUser]) -> None:
    delete_user(everybody[3].id, at=everybody[3].updated_at + 1000)
    code, report = reconcile()
    assert (code, found(report)) == (1, {"deleted_here_but_alive_in_clerk": 1})
    assert live(everybody[3]) is None
    assert reconcile("--apply")[0] == 0
    assert live(everybody[3]) is not None
    assert reconcile()[0] == 0


@pytest.mark.parametrize("is_restored", [True, False])
def test_an_absurd_date_makes_nobody_undeletable_or_unrestorable(
    clerk: LocalClerk, everybody: list[ClerkUser], monkeypatch: pytest.MonkeyPatch, *, is_restored: bool
) -> None:
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    if is_restored:
        delete_user(everybody[3].id, at=everybody[3].updated_at + 1000)
    else:
        clerk.delete(everybody[3])
    assert reconcile("--apply")[0] == 0
    row = User.objects.get(clerk_id=everybody[3].id)
    tomorrow = timezone.now() + timedelta(days=1)
    moment = row.restored_at if is_restored else row.deleted_at
    assert moment is not None
    assert moment < tomorrow


@pytest.mark.postgresql
def test_whom_clerk_deletes_while_it_is_asked_is_not_restored(everybody: list[ClerkUser], wire: Wire) -> None:
    delete_user(everybody[3].id, at=everybody[3].updated_at + 1000)

    def delete(request: Request, response: Response) -> Response:
        if request.path.endswith(everybody[3].id):
            delete_user(everybody[3].id, at=time.time_ns() // 1_000_000)
            connections.close_all()
        return response

    wire.tamper = delete
    assert reconcile("--apply")[0] == 1
    assert live(everybody[3]) is None


def test_people_whom_an_operator_deleted_are_information(everybody: list[ClerkUser]) -> None:
    row = live(everybody[3])
    assert row is not None
    delete_locally(row)
    code, report = reconcile("--apply")
    assert (code, found(report)) == (0, {})
    assert report["information"]["deleted_here"] == 1
    assert live(everybody[3]) is None


def test_shared_addresses_are_information_without_the_address(
    clerk: LocalClerk, everybody: list[ClerkUser]
) -> None:
    twin = clerk.new_person(email=str(everybody[3].email).upper())
    code, report = reconcile("--apply")
    assert code == 0
    assert report["information"]["shared_addresses"] == [sorted([everybody[3].id, twin.id])]
    assert str(everybody[3].email) not in json.dumps(report).lower()


def test_somebody_unusable_is_drift_that_stays(clerk: LocalClerk, everybody: list[ClerkUser]) -> None:
    clerk.new_person(raw={"id": None})
    assert reconcile("--apply")[0] == 1
    code, report = reconcile()
    assert (code, found(report)) == (1, {"failed_to_store": 1})


def test_local_staff_are_nobodys_drift(everybody: list[ClerkUser]) -> None:
    User.objects.create_superuser("boss", password="a long enough word")
    assert reconcile("--apply")[0] == 0
    assert User.objects.filter(username="boss", deleted_at=None).exists()


@pytest.mark.parametrize(("deleted", "code"), [(10, 0), (11, 2)])
def test_a_mass_deletion_stops_before_the_first_row(
    clerk: LocalClerk, everybody: list[ClerkUser], deleted: int, code: int
) -> None:
    for person in everybody[:deleted]:
        clerk.delete(person)
    before = User.objects.live().count()
    ending, report = reconcile("--apply")
    assert ending == code
    assert before - User.objects.live().count() == (deleted if code == 0 else 0)
    assert report["stopped"] == (None if code == 0 else "mass_deletion")
    if code:
        assert reconcile()[0] == 1
        assert reconcile("--apply", "--allow-mass-deletion")[0] == 0
        assert before - User.objects.live().count() == deleted


def test_eleven_of_very_many_are_no_mass_deletion(clerk: LocalClerk) -> None:
    clerk.make_up(200)
    call_command("backfill_users", stdout=StringIO())
    for number in range(11):
        clerk.delete(f"person{number}")
    assert reconcile("--apply")[0] == 0


def drop_half_the_list(_request: Request, response: Response) -> Response:
    if "limit" in _request.args:
        users = json.loads(response.get_data())
        response.set_data(json.dumps(users[: len(users) // 2]))
    return response


@pytest.mark.parametrize("option", ["--json", "--allow-mass-deletion"])
def test_a_list_that_broke_off_deletes_nobody_whatever_the_options(
    everybody: list[ClerkUser], wire: Wire, option: str
) -> None:
    wire.tamper = drop_half_the_list
    before = User.objects.live().count()
    code, report = reconcile("--apply", option)
    assert (code, report["stopped"]) == (2, "listing_incomplete")
    assert User.objects.live().count() == before


def test_somebody_whom_the_list_forgot_is_alive_by_an_answer_of_their_own(
    everybody: list[ClerkUser], wire: Wire
) -> None:
    def forget(request: Request, response: Response) -> Response:
        if "limit" in request.args:
            users = [user for user in json.loads(response.get_data()) if user["id"] != everybody[3].id]
            response.set_data(json.dumps(users))
        return response

    wire.tamper = forget
    code, report = reconcile("--apply")
    assert (code, found(report)) == (0, {})
    assert live(everybody[3]) is not None


def test_a_404_of_a_proxy_deletes_nobody(clerk: LocalClerk, everybody: list[ClerkUser], wire: Wire) -> None:
    clerk.delete(everybody[3])
    wire.tamper = lambda _request, response: (
        Response("<h1>Not Found</h1>", status=404) if response.status_code == 404 else response
    )
    with pytest.raises(CommandError, match="not_from_clerk") as ending:
        call_command("reconcile_users", "--apply", stdout=StringIO())
    assert ending.value.returncode == 2
    assert live(everybody[3]) is not None


def test_a_network_that_goes_away_deletes_nobody(
    clerk: LocalClerk, everybody: list[ClerkUser], wire: Wire
) -> None:
    clerk.delete(everybody[3])
    wire.tamper = lambda request, response: Response(status=502) if "limit" in request.args else response
    api = ClerkAPI(clerk.secret_key, base_url=wire.url, patience=0.2)
    with pytest.raises(ClerkAPIError):
        run_reconcile(api, clock=timezone.now, report=lambda _: None, apply=True)
    assert live(everybody[3]) is not None
    assert SyncRun.objects.get(kind=SyncRun.Kind.RECONCILE).status == SyncRun.Status.FAILED


def test_an_instance_that_lists_no_user_deletes_no_row(everybody: list[ClerkUser], wire: Wire) -> None:
    def empty(request: Request, response: Response) -> Response:
        if request.path != "/v1/jwks":
            response.set_data('{"total_count": 0}' if "count" in request.path else "[]")
        return response

    wire.tamper = empty
    code, report = reconcile("--apply")
    assert (code, report["stopped"]) == (2, "mass_deletion")
    assert User.objects.live().count() == 40


def keep_users(clerk: LocalClerk, number: int) -> list[ClerkUser]:
    """Leave so many of the seeded users in Clerk, and make them local rows."""
    for person in clerk.people[number:]:
        clerk.delete(person)
    call_command("backfill_users", stdout=StringIO())
    return clerk.people


@pytest.mark.parametrize(
    ("rows", "deleted", "is_mass"),
    [
        (1, 1, True),
        (2, 1, False),
        (2, 2, True),
        (3, 2, True),
        (8, 4, False),
        (9, 4, False),
        (9, 5, True),
        (9, 9, True),
    ],
)
def test_more_than_half_of_few_rows_is_a_mass_deletion(
    clerk: LocalClerk, rows: int, deleted: int, *, is_mass: bool
) -> None:
    for person in keep_users(clerk, rows)[:deleted]:
        clerk.delete(person)
    code, report = reconcile("--apply")
    assert (code, report["stopped"]) == ((2, "mass_deletion") if is_mass else (0, None))
    assert User.objects.live().count() == (rows if is_mass else rows - deleted)
    assert reconcile("--apply", "--allow-mass-deletion")[0] == 0
    assert User.objects.live().count() == rows - deleted


def test_rows_that_the_same_run_creates_do_not_make_a_mass_deletion_small(
    clerk: LocalClerk, everybody: list[ClerkUser]
) -> None:
    for person in everybody[:11]:
        clerk.delete(person)
    for _ in range(120):
        clerk.new_person()
    code, report = reconcile("--apply")
    assert (code, report["stopped"]) == (2, "mass_deletion")
    assert found(report) == {"missing_here": 120, "deleted_in_clerk": 11}
    assert User.objects.filter(deleted_at=None, clerk_id__in=[each.id for each in everybody]).count() == 31


def test_local_staff_do_not_make_a_mass_deletion_small(clerk: LocalClerk) -> None:
    for number in range(5):
        User.objects.create_user(f"staff{number}", is_staff=True)
    for person in keep_users(clerk, 3)[:2]:
        clerk.delete(person)
    assert reconcile("--apply")[1]["stopped"] == "mass_deletion"


def test_half_a_list_of_few_users_is_incomplete(clerk: LocalClerk, wire: Wire) -> None:
    keep_users(clerk, 9)
    wire.tamper = drop_half_the_list
    code, report = reconcile("--apply", "--allow-mass-deletion")
    assert (code, report["stopped"]) == (2, "listing_incomplete")
    assert User.objects.live().count() == 9


def test_two_at_once_are_one_and_a_refusal() -> None:
    with single_run(SyncRun.Kind.RECONCILE), single_run(SyncRun.Kind.BACKFILL):
        pass
    with single_run(SyncRun.Kind.RECONCILE), pytest.raises(CommandError, match="running") as ending:
        call_command("reconcile_users", stdout=StringIO())
    assert ending.value.returncode == 2


def test_without_a_secret_key_it_cannot_run(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as ending:
        call_command("reconcile_users")
    assert ending.value.returncode == 2


def test_the_exit_codes_are_those_of_the_process_and_nothing_personal_is_printed(
    clerk: LocalClerk, everybody: list[ClerkUser]
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
