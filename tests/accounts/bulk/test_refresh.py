"""`sync_user` and the restoration of a row: one user is fetched from Clerk."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from pytest_django import Settings
from werkzeug import Request, Response

from accounts.bulk.refresh import refresh_user
from accounts.clerk.api import ClerkAPI
from accounts.models import DeletedBy, User
from accounts.sync import Outcome, RestoreRefused, delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from tests.accounts.wire import Wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def sync_user(clerk_id: str) -> tuple[int, str]:
    """Run the command; return exit status and output."""
    output, status = StringIO(), 0
    try:
        call_command("sync_user", clerk_id, stdout=output, stderr=output)
    except SystemExit as error:
        status = int(str(error.code))
    return status, output.getvalue()


def test_user_is_created_then_unchanged_then_updated(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    assert sync_user(ada.id) == (0, f"{ada.id}: created\n")
    assert sync_user(ada.id) == (0, f"{ada.id}: unchanged\n")
    clerk.update(ada, first_name="Augusta")
    assert sync_user(ada.id) == (0, f"{ada.id}: updated\n")
    assert User.objects.get(clerk_id=ada.id).first_name == "Augusta"


def test_wrong_value_with_a_newer_version_is_corrected(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    sync_user(ada.id)
    row = User.objects.get(clerk_id=ada.id)
    versions = {**row.field_versions, "first_name": [ada.updated_at + 60_000, 1]}
    User.objects.filter(pk=row.pk).update(first_name="Wrong", field_versions=versions)
    assert sync_user(ada.id)[0] == 0
    assert User.objects.get(clerk_id=ada.id).first_name == "Ada"


@pytest.mark.parametrize("clerk_id", ["user_unknown", "", "..", "x/y"])
def test_unknown_clerk_id_exits_with_1(clerk_id: str) -> None:
    status, output = sync_user(clerk_id)
    assert status == 1
    assert "Clerk has no user" in output


def test_deleted_row_stays_deleted_and_exits_with_1(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    sync_user(ada.id)
    delete_user(ada.id, at=ada.updated_at + 1000)
    status, output = sync_user(ada.id)
    assert status == 1
    assert "reconcile_users --apply" in output


def test_wrong_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = "sk_test_Wrong"
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        sync_user("user_a")
    assert error.value.returncode == 2


def test_missing_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        sync_user("user_a")
    assert error.value.returncode == 2


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "delete_first", [delete_locally, lambda row: delete_user(row.clerk_id, at=1_700_000_000_000)]
)
def test_user_deleted_during_the_request_is_not_restored(
    clerk: LocalClerk, wire: Wire, delete_first: Callable[[User], Outcome]
) -> None:
    ada = clerk.person("ada")
    sync_user(ada.id)
    row = User.objects.get(clerk_id=ada.id)
    delete_first(row)
    row.refresh_from_db()

    def delete(_request: Request, response: Response) -> Response:
        delete_user(ada.id, at=milliseconds())
        connections.close_all()
        return response

    wire.tamper = delete
    api = ClerkAPI(clerk.secret_key, base_url=wire.url)
    with pytest.raises(RestoreRefused, match="deleted_meanwhile"):
        refresh_user(api, ada.id, clock=timezone.now, deleted_row=row)
    assert User.objects.get(pk=row.pk).deleted_by == DeletedBy.CLERK


@pytest.mark.parametrize(
    "date", ["Fri, 01 Jan 2100 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:01 GMT", "Fri, 01 Jan 99999", "soon"]
)
def test_implausible_date_does_not_prevent_a_deletion(
    clerk: LocalClerk, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    ada = clerk.person("ada")
    sync_user(ada.id)
    row = User.objects.get(clerk_id=ada.id)
    delete_user(ada.id, at=milliseconds())
    row.refresh_from_db()
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    api = ClerkAPI(clerk.secret_key, base_url=clerk.api_url)
    assert refresh_user(api, ada.id, clock=timezone.now, deleted_row=row)
    assert delete_user(ada.id, at=milliseconds() + 1_000) == Outcome.DELETED
