"""`reconcile_users` deletes no row unless Clerk confirms each deletion and their number is plausible."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from werkzeug import Request, Response

from accounts.bulk.reconcile import reconcile as run_reconcile
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.models import SyncRun, User
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from tests.accounts.bulk.commands import get_found, run_json
from tests.accounts.wire import Wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def reconcile(*arguments: str) -> tuple[int, dict[str, Any]]:
    return run_json("reconcile_users", *arguments)


def get_live_row(user: ClerkUser) -> User | None:
    return User.objects.by_clerk_id(user.id)


@pytest.mark.parametrize(("deleted", "is_mass"), [(10, False), (11, True)])
def test_mass_deletion_deletes_no_row(
    clerk: LocalClerk, users: list[ClerkUser], deleted: int, *, is_mass: bool
) -> None:
    for user in users[:deleted]:
        clerk.delete(user)
    before = User.objects.live().count()
    status, report = reconcile("--apply")
    assert (status, report["stopped"]) == ((2, "mass_deletion") if is_mass else (0, None))
    assert before - User.objects.live().count() == (0 if is_mass else deleted)
    if is_mass:
        assert reconcile()[0] == 1
        assert reconcile("--apply", "--allow-mass-deletion")[0] == 0
        assert before - User.objects.live().count() == deleted


def test_eleven_of_many_rows_are_no_mass_deletion(clerk: LocalClerk) -> None:
    clerk.make_up(200)
    call_command("backfill_users", stdout=StringIO())
    for number in range(11):
        clerk.delete(f"person{number}")
    assert reconcile("--apply")[0] == 0


def drop_half_the_list(request: Request, response: Response) -> Response:
    if "limit" in request.args:
        users = json.loads(response.get_data())
        response.set_data(json.dumps(users[: len(users) // 2]))
    return response


@pytest.mark.parametrize("option", ["--json", "--allow-mass-deletion"])
def test_incomplete_list_deletes_no_row_with_any_option(
    users: list[ClerkUser], wire: Wire, option: str
) -> None:
    wire.tamper = drop_half_the_list
    before = User.objects.live().count()
    status, report = reconcile("--apply", option)
    assert (status, report["stopped"]) == (2, "listing_incomplete")
    assert User.objects.live().count() == before


def test_user_missing_from_the_list_is_fetched(users: list[ClerkUser], wire: Wire) -> None:
    def omit_user(request: Request, response: Response) -> Response:
        if "limit" in request.args:
            listed = [user for user in json.loads(response.get_data()) if user["id"] != users[3].id]
            response.set_data(json.dumps(listed))
        return response

    wire.tamper = omit_user
    status, report = reconcile("--apply")
    assert (status, get_found(report)) == (0, {})
    assert get_live_row(users[3]) is not None


def test_404_of_a_proxy_deletes_no_row(clerk: LocalClerk, users: list[ClerkUser], wire: Wire) -> None:
    clerk.delete(users[3])
    wire.tamper = lambda _request, response: (
        Response("<h1>Not Found</h1>", status=404) if response.status_code == 404 else response
    )
    with pytest.raises(CommandError, match="not_from_clerk") as error:
        call_command("reconcile_users", "--apply", stdout=StringIO())
    assert error.value.returncode == 2
    assert get_live_row(users[3]) is not None


def test_network_failure_deletes_no_row(clerk: LocalClerk, users: list[ClerkUser], wire: Wire) -> None:
    clerk.delete(users[3])
    wire.tamper = lambda request, response: Response(status=502) if "limit" in request.args else response
    api = ClerkAPI(clerk.secret_key, base_url=wire.url, patience=0.2)
    with pytest.raises(ClerkAPIError):
        run_reconcile(api, clock=timezone.now, report=lambda _: None, apply=True)
    assert get_live_row(users[3]) is not None
    assert SyncRun.objects.get(kind=SyncRun.Kind.RECONCILE).status == SyncRun.Status.FAILED


def test_empty_list_deletes_no_row(users: list[ClerkUser], wire: Wire) -> None:
    def empty_list(request: Request, response: Response) -> Response:
        if request.path != "/v1/jwks":
            response.set_data('{"total_count": 0}' if "count" in request.path else "[]")
        return response

    wire.tamper = empty_list
    status, report = reconcile("--apply")
    assert (status, report["stopped"]) == (2, "mass_deletion")
    assert User.objects.live().count() == 40


def keep_users(clerk: LocalClerk, number: int) -> list[ClerkUser]:
    """Keep this number of the seeded users in Clerk, and create their rows."""
    for user in clerk.people[number:]:
        clerk.delete(user)
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
    for user in keep_users(clerk, rows)[:deleted]:
        clerk.delete(user)
    status, report = reconcile("--apply")
    assert (status, report["stopped"]) == ((2, "mass_deletion") if is_mass else (0, None))
    assert User.objects.live().count() == (rows if is_mass else rows - deleted)
    assert reconcile("--apply", "--allow-mass-deletion")[0] == 0
    assert User.objects.live().count() == rows - deleted


def test_rows_created_by_the_run_do_not_count(clerk: LocalClerk, users: list[ClerkUser]) -> None:
    for user in users[:11]:
        clerk.delete(user)
    for _ in range(120):
        clerk.new_person()
    status, report = reconcile("--apply")
    assert (status, report["stopped"]) == (2, "mass_deletion")
    assert get_found(report) == {"missing_here": 120, "deleted_in_clerk": 11}
    assert User.objects.filter(deleted_at=None, clerk_id__in=[each.id for each in users]).count() == 31


def test_local_staff_do_not_count(clerk: LocalClerk) -> None:
    for number in range(5):
        User.objects.create_user(f"staff{number}", is_staff=True)
    for user in keep_users(clerk, 3)[:2]:
        clerk.delete(user)
    assert reconcile("--apply")[1]["stopped"] == "mass_deletion"


def test_half_a_list_of_few_users_is_incomplete(clerk: LocalClerk, wire: Wire) -> None:
    keep_users(clerk, 9)
    wire.tamper = drop_half_the_list
    status, report = reconcile("--apply", "--allow-mass-deletion")
    assert (status, report["stopped"]) == (2, "listing_incomplete")
    assert User.objects.live().count() == 9
