"""`export_user`: one JSON document with all that is stored about one user, and nothing about others."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import DeletedBy, User
from health.models import SyncFailure
from tests.factories import UserFactory
from tests.health.rows import event, failures

pytestmark = pytest.mark.django_db
CLERK_ID = "user_ada"


def export(clerk_id: str = CLERK_ID) -> Any:
    """Run the command and return the document."""
    output = StringIO()
    call_command("export_user", clerk_id, stdout=output)
    return json.loads(output.getvalue())


@pytest.fixture
def ada() -> User:
    """Create a user with an older row, events, failures, rights, a session and a history in the admin."""
    UserFactory.create(
        clerk_id=CLERK_ID, first_name="Old Ada", deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL
    )
    ada: User = UserFactory.create(
        clerk_id=CLERK_ID,
        first_name="Ada",
        email="ada@example.test",
        field_versions={"email": [1, 2]},
        password="!",
    )
    ada.groups.add(Group.objects.create(name="support"))
    bob = UserFactory.create(clerk_id="user_bob", first_name="Bob", username="bob")
    now = timezone.now()
    for each in (ada, bob):
        event(each.clerk_id, at=now)
        SyncFailure.objects.record([failures(str(each.clerk_id), at=now)], now=now)
        Client().force_login(each)
    LogEntry.objects.log_actions(bob.pk, [ada], CHANGE, change_message="Deactivated user_ada.")
    User.objects.filter(pk=bob.pk).update(clerk_id=None)
    bob.refresh_from_db()
    LogEntry.objects.log_actions(ada.pk, [bob], CHANGE, change_message="Changed the row.")
    return ada


def test_document_holds_all_that_is_stored(ada: User) -> None:
    document = export()
    fields = {field.attname for field in User._meta.concrete_fields} - {"password"}
    assert [row.keys() for row in document["rows"]] == [fields, fields]
    assert {row["first_name"] for row in document["rows"]} == {"Ada", "Old Ada"}
    (row,) = [row for row in document["rows"] if row["deleted_at"] is None]
    assert (row["id"], row["email"]) == (str(ada.pk), "ada@example.test")
    assert row["field_versions"] == {"email": [1, 2]}
    (user,) = [user for user in document["users"] if user["pk"] == str(ada.pk)]
    assert (user["groups"], user["has_password"], len(user["sessions"])) == (["support"], False, 1)
    for kind in ("webhook_events", "sync_failures"):
        assert [entry["clerk_id"] for entry in document[kind]] == [CLERK_ID]
    messages = [entry["change_message"] for entry in document["admin_history"]]
    assert messages == ["Deactivated user_ada.", "Changed the row."]


def test_document_holds_no_password_and_nothing_about_others(ada: User) -> None:
    ada.set_password("a long password")
    ada.save()
    text = json.dumps(export())
    assert ada.password not in text
    assert "bob" not in text.lower()


def test_user_of_whom_only_events_are_left_is_exported() -> None:
    event(CLERK_ID, at=timezone.now())
    document = export()
    assert (document["rows"], len(document["webhook_events"])) == ([], 1)


def test_unknown_user_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("export_user", "user_unknown", stdout=output)
    assert (ended.value.code, output.getvalue()) == (1, "")


def test_export_writes_nothing_but_a_line_without_personal_data(
    ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="security"):
        export()
    (line,) = [record for record in caplog.records if record.name == "security"]
    assert (line.message, line.__dict__["clerk_id"]) == ("User exported", CLERK_ID)
    assert "ada@example.test" not in str(line.__dict__)
