"""`scrub_deleted_users`: the personal data goes, the row and what points to it stay."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.bulk.scrub import EMPTY
from accounts.models import DeletedBy, User
from accounts.sync import delete_locally, restore_user
from health.models import SyncFailure
from tests.factories import UserFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db
PERSONAL = {
    "email": "canary@example.test",
    "email_verified": True,
    "first_name": "Canary",
    "last_name": "Bird",
    "image_url": "https://img.example.test/canary.png",
    "field_versions": {"email": [1, 2]},
}


def scrub(*arguments: str) -> str:
    """Run the command; give what it printed."""
    output = StringIO()
    call_command("scrub_deleted_users", *arguments, stdout=output)
    return output.getvalue()


def deleted(*, days: float, by: DeletedBy = DeletedBy.CLERK, **fields: object) -> User:
    """Make somebody who was deleted so many days ago."""
    at = timezone.now() - timedelta(days=days)
    return UserFactory.create(deleted_at=at, deleted_by=by, **PERSONAL | fields)


@pytest.mark.parametrize("by", list(DeletedBy))
def test_a_deleted_persons_data_goes_and_the_tombstone_stays(by: DeletedBy) -> None:
    person = deleted(days=31, by=by)
    scrub("--older-than", "30")
    row = User.objects.get(pk=person.pk)
    assert (row.clerk_id, row.deleted_at, row.deleted_by) == (person.clerk_id, person.deleted_at, by)
    assert (row.email, row.email_verified, row.first_name, row.last_name, row.image_url) == (
        None,
        False,
        "",
        "",
        "",
    )
    assert row.field_versions == {}
    assert not row.has_usable_password()


def test_whoever_is_live_or_deleted_lately_is_left_alone() -> None:
    lately, living = deleted(days=29), UserFactory.create(**PERSONAL)
    scrub("--older-than", "30")
    for person in (lately, living):
        assert User.objects.get(pk=person.pk).email == PERSONAL["email"]


def test_a_user_name_of_their_own_goes_too() -> None:
    person = deleted(days=31, username="canary.bird")
    scrub("--older-than", "30")
    assert "canary" not in User.objects.get(pk=person.pk).username


def test_a_user_name_that_looks_scrubbed_goes_too() -> None:
    person = UserFactory.create(
        deleted_at=timezone.now() - timedelta(days=31), username="scrubbed-canary", **EMPTY
    )
    scrub("--older-than", "30")
    assert "canary" not in User.objects.get(pk=person.pk).username


def test_nobody_who_took_the_name_beforehand_stops_the_others() -> None:
    first, second = deleted(days=31), deleted(days=31)
    UserFactory.create(username=f"scrubbed-{first.pk}")
    assert scrub("--older-than", "30") == "2 rows lost their personal data\n"
    names = set(User.objects.filter(pk__in=[first.pk, second.pk]).values_list("username", flat=True))
    assert len(names) == 2


@pytest.mark.parametrize("action", ["deactivate", "activate", "delete_here", "restore", "sync_again"])
def test_what_the_actions_of_the_admin_left_in_its_history_names_nobody(action: str) -> None:
    person = User.objects.create_user("canary@example.test", email="canary@example.test", first_name="Canary")
    client = Client()
    client.force_login(User.objects.create_superuser("helga"))
    words = {"action": action, "_selected_action": [str(person.pk)], "confirmed": "yes"}
    if action == "restore":
        delete_locally(person)
    client.post("/admin/accounts/user/?state=all", words)
    User.objects.filter(pk=person.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    scrub("--older-than", "30")
    entry = LogEntry.objects.get(object_id=str(person.pk))
    assert str(person.pk) in entry.change_message
    assert "canary" not in f"{entry.object_repr} {entry.change_message}".lower()


def test_the_admins_history_keeps_the_entry_and_loses_the_name() -> None:
    person, staff = deleted(days=31), UserFactory.create()
    LogEntry.objects.log_actions(staff.pk, [person], CHANGE, change_message=[{"changed": {}}])
    LogEntry.objects.update(object_repr="canary@example.test")
    scrub("--older-than", "30")
    assert "canary" not in LogEntry.objects.get(object_id=str(person.pk)).object_repr


def test_what_points_to_the_row_stays() -> None:
    person = deleted(days=31)
    entry = LogEntry.objects.log_actions(person.pk, [UserFactory.create()], CHANGE, single_object=True)
    scrub("--older-than", "30")
    assert LogEntry.objects.get(pk=entry.pk).user_id == person.pk


def test_a_second_time_finds_nobody() -> None:
    deleted(days=31)
    assert scrub("--older-than", "30") == "1 rows lost their personal data\n"
    before = User.objects.values_list("updated_at", "username").get()
    assert scrub("--older-than", "30") == "0 rows lost their personal data\n"
    assert User.objects.values_list("updated_at", "username").get() == before


def test_more_than_one_batch_is_done() -> None:
    at = timezone.now() - timedelta(days=31)
    people = UserFactory.build_batch(1500, deleted_at=at, deleted_by=DeletedBy.LOCAL, email="a@example.test")
    User.objects.bulk_create(people)
    assert scrub("--older-than", "30") == "1,500 rows lost their personal data\n"


def test_a_dry_run_counts_and_writes_nothing() -> None:
    person = deleted(days=31)
    assert scrub("--older-than", "30", "--dry-run") == "dry run: 1 rows would lose their personal data\n"
    assert User.objects.get(pk=person.pk).email == PERSONAL["email"]


def test_a_scrubbed_person_can_be_restored_empty() -> None:
    person = deleted(days=31)
    scrub("--older-than", "30")
    restored = restore_user(User.objects.get(pk=person.pk), at=int(timezone.now().timestamp() * 1000))
    assert (restored.deleted_at, restored.email) == (None, None)


@pytest.mark.parametrize("days", ["-1", "x", "", "1.5", "36501", "9999999", "9" * 5000])
def test_days_that_are_no_number_or_beyond_a_century_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="must be a whole number from 0 to 36500"):
        scrub("--older-than", days)


def test_a_century_of_days_is_the_most() -> None:
    deleted(days=31)
    assert scrub("--older-than", "36500") == "0 rows lost their personal data\n"


def test_the_days_must_be_given() -> None:
    with pytest.raises(CommandError):
        scrub()


@pytest.mark.parametrize("model", [WebhookEvent, SyncFailure])
def test_the_ledger_and_the_failures_have_no_column_for_personal_data(model: type[Model]) -> None:
    names = {field.name for field in model._meta.get_fields()}
    assert not names & {*PERSONAL, "body", "payload", "data", "text", "message"}
