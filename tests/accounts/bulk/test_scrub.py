"""`scrub_deleted_users`: personal data is erased, the row and the foreign keys to it stay."""

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
    "extra": {"phone_number": "+491701234567"},
    "field_versions": {"email": [1, 2]},
}


def scrub(*arguments: str) -> str:
    """Run the command and return its output."""
    output = StringIO()
    call_command("scrub_deleted_users", *arguments, stdout=output)
    return output.getvalue()


def create_deleted(*, days: float, by: DeletedBy = DeletedBy.CLERK, **fields: object) -> User:
    """Create a row that was deleted this number of days ago."""
    at = timezone.now() - timedelta(days=days)
    return UserFactory.create(deleted_at=at, deleted_by=by, **PERSONAL | fields)


@pytest.mark.parametrize("by", list(DeletedBy))
def test_personal_data_is_erased_and_the_deleted_row_stays(by: DeletedBy) -> None:
    user = create_deleted(days=31, by=by)
    scrub("--older-than", "30")
    row = User.objects.get(pk=user.pk)
    assert (row.clerk_id, row.deleted_at, row.deleted_by) == (user.clerk_id, user.deleted_at, by)
    assert (row.email, row.email_verified, row.first_name, row.last_name, row.image_url) == (
        None,
        False,
        "",
        "",
        "",
    )
    assert (row.extra, row.field_versions) == ({}, {})
    assert not row.has_usable_password()


def test_live_and_recently_deleted_rows_are_unchanged() -> None:
    recent, live = create_deleted(days=29), UserFactory.create(**PERSONAL)
    scrub("--older-than", "30")
    for user in (recent, live):
        assert User.objects.get(pk=user.pk).email == PERSONAL["email"]


def test_row_with_further_fields_alone_is_erased() -> None:
    user = UserFactory.create(
        deleted_at=timezone.now() - timedelta(days=31), **EMPTY | {"extra": {"locale": None}}
    )
    assert scrub("--older-than", "30") == "1 rows lost their personal data\n"
    assert User.objects.get(pk=user.pk).extra == {}
    assert scrub("--older-than", "30") == "0 rows lost their personal data\n"


def test_chosen_username_is_erased() -> None:
    user = create_deleted(days=31, username="canary.bird")
    scrub("--older-than", "30")
    assert "canary" not in User.objects.get(pk=user.pk).username


def test_chosen_username_that_looks_scrubbed_is_erased() -> None:
    user = UserFactory.create(
        deleted_at=timezone.now() - timedelta(days=31), username="scrubbed-canary", **EMPTY
    )
    scrub("--older-than", "30")
    assert "canary" not in User.objects.get(pk=user.pk).username


def test_taken_username_stops_no_other_row() -> None:
    first, second = create_deleted(days=31), create_deleted(days=31)
    UserFactory.create(username=f"scrubbed-{first.pk}")
    assert scrub("--older-than", "30") == "2 rows lost their personal data\n"
    names = set(User.objects.filter(pk__in=[first.pk, second.pk]).values_list("username", flat=True))
    assert len(names) == 2


@pytest.mark.parametrize("action", ["deactivate", "activate", "delete_here", "restore", "sync_again"])
def test_history_of_admin_actions_has_no_name(action: str) -> None:
    user = User.objects.create_user("canary@example.test", email="canary@example.test", first_name="Canary")
    client = Client()
    client.force_login(User.objects.create_superuser("helga"))
    data = {"action": action, "_selected_action": [str(user.pk)], "confirmed": "yes"}
    if action == "restore":
        delete_locally(user)
    client.post("/admin/accounts/user/?state=all", data)
    User.objects.filter(pk=user.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    scrub("--older-than", "30")
    entry = LogEntry.objects.get(object_id=str(user.pk))
    assert str(user.pk) in entry.change_message
    assert "canary" not in f"{entry.object_repr} {entry.change_message}".lower()


def test_history_entry_stays_without_the_name() -> None:
    user, staff = create_deleted(days=31), UserFactory.create()
    LogEntry.objects.log_actions(staff.pk, [user], CHANGE, change_message=[{"changed": {}}])
    LogEntry.objects.update(object_repr="canary@example.test")
    scrub("--older-than", "30")
    assert "canary" not in LogEntry.objects.get(object_id=str(user.pk)).object_repr


def test_foreign_keys_to_the_row_stay() -> None:
    user = create_deleted(days=31)
    entry = LogEntry.objects.log_actions(user.pk, [UserFactory.create()], CHANGE, single_object=True)
    scrub("--older-than", "30")
    assert LogEntry.objects.get(pk=entry.pk).user_id == user.pk


def test_second_run_finds_no_row() -> None:
    create_deleted(days=31)
    assert scrub("--older-than", "30") == "1 rows lost their personal data\n"
    before = User.objects.values_list("updated_at", "username").get()
    assert scrub("--older-than", "30") == "0 rows lost their personal data\n"
    assert User.objects.values_list("updated_at", "username").get() == before


def test_several_batches_are_scrubbed() -> None:
    at = timezone.now() - timedelta(days=31)
    users = UserFactory.build_batch(1500, deleted_at=at, deleted_by=DeletedBy.LOCAL, email="a@example.test")
    User.objects.bulk_create(users)
    assert scrub("--older-than", "30") == "1,500 rows lost their personal data\n"


def test_dry_run_counts_and_writes_nothing() -> None:
    user = create_deleted(days=31)
    assert scrub("--older-than", "30", "--dry-run") == "dry run: 1 rows would lose their personal data\n"
    assert User.objects.get(pk=user.pk).email == PERSONAL["email"]


def test_scrubbed_row_can_be_restored() -> None:
    user = create_deleted(days=31)
    scrub("--older-than", "30")
    restored = restore_user(User.objects.get(pk=user.pk), at=int(timezone.now().timestamp() * 1000))
    assert (restored.deleted_at, restored.email) == (None, None)


@pytest.mark.parametrize("days", ["-1", "x", "", "1.5", "36501", "9999999", "9" * 5000])
def test_invalid_number_of_days_is_refused(days: str) -> None:
    with pytest.raises(CommandError, match="must be a whole number from 0 to 36500"):
        scrub("--older-than", days)


def test_36500_days_are_the_maximum() -> None:
    create_deleted(days=31)
    assert scrub("--older-than", "36500") == "0 rows lost their personal data\n"


def test_number_of_days_is_required() -> None:
    with pytest.raises(CommandError):
        scrub()


@pytest.mark.parametrize("model", [WebhookEvent, SyncFailure])
def test_ledger_and_failures_have_no_personal_columns(model: type[Model]) -> None:
    names = {field.name for field in model._meta.get_fields()}
    assert not names & {*PERSONAL, "body", "payload", "data", "text", "message"}
