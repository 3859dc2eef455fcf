"""The effects of events on users, and what the ledger records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import User
from accounts.signals import sync_failed
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import envelope, next_id, now, outcome_of, user_data
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

HOUR_MS = 3_600_000


def get_entry() -> WebhookEvent:
    return WebhookEvent.objects.get()


def get_user() -> User:
    return User.objects.get(clerk_id="user_1")


@pytest.mark.parametrize("event_type", ["user.created", "user.updated"])
def test_event_for_unknown_user_creates_the_row(event_type: str) -> None:
    assert outcome_of(envelope(event_type, user_data())) == "created"
    row = get_user()
    assert (row.email, row.email_verified) == ("ada@example.test", True)
    assert (row.first_name, row.last_name) == ("Ada", "Lovelace")
    assert row.image_url == "https://img.example.test/ada.png"


@pytest.mark.parametrize("event_type", ["user.created", "user.updated"])
def test_later_event_updates_the_row(event_type: str) -> None:
    outcome_of(envelope("user.created", user_data(updated_at=now() - HOUR_MS)))
    assert outcome_of(envelope(event_type, user_data(first_name="Augusta"))) == "updated"
    assert get_user().first_name == "Augusta"


def test_same_data_is_unchanged() -> None:
    data = user_data()
    outcome_of(envelope("user.created", data))
    assert outcome_of(envelope("user.updated", data)) == "unchanged"


def test_older_update_is_stale() -> None:
    outcome_of(envelope("user.updated", user_data(first_name="New")))
    old = user_data(updated_at=now() - HOUR_MS, first_name="Old")
    assert outcome_of(envelope("user.updated", old)) == "stale"
    assert get_user().first_name == "New"


def test_envelope_time_does_not_order_updates() -> None:
    outcome_of(envelope("user.updated", user_data(updated_at=now() - HOUR_MS, first_name="New")))
    old = user_data(updated_at=now() - 2 * HOUR_MS, first_name="Old")
    assert outcome_of(envelope("user.updated", old, at=now())) == "stale"


def test_deletion_is_final() -> None:
    outcome_of(envelope("user.created", user_data(updated_at=now() - HOUR_MS)))
    assert (
        outcome_of(envelope("user.deleted", {"id": "user_1", "object": "user", "deleted": True})) == "deleted"
    )
    assert outcome_of(envelope("user.updated", user_data(updated_at=now() + 1000))) == "stale"
    row = get_user()
    assert row.deleted_at is not None
    assert row.deleted_by == "clerk"


def test_deletion_before_creation_stores_a_deleted_row() -> None:
    assert outcome_of(envelope("user.deleted", {"id": "user_1", "deleted": True})) == "deleted"
    assert outcome_of(envelope("user.created", user_data())) == "stale"
    assert get_user().deleted_by == "clerk"


def test_second_deletion_is_stale() -> None:
    outcome_of(envelope("user.deleted", {"id": "user_1"}))
    assert outcome_of(envelope("user.deleted", {"id": "user_1"})) == "stale"


def test_deletion_has_the_time_of_the_envelope() -> None:
    moment = now() - HOUR_MS
    outcome_of(envelope("user.deleted", {"id": "user_1"}, at=moment))
    assert get_user().deleted_at == datetime.fromtimestamp(moment / 1000, UTC)


@pytest.mark.parametrize("flag", ["banned", "deprovisioned"])
def test_ban_is_set_and_removed(flag: str) -> None:
    outcome_of(envelope("user.updated", user_data(updated_at=now() - HOUR_MS) | {flag: True}))
    assert get_user().banned is True
    outcome_of(envelope("user.updated", user_data()))
    assert get_user().banned is False


def test_lock_is_ignored() -> None:
    outcome_of(envelope("user.updated", user_data(locked=True)))
    row = get_user()
    assert (row.banned, row.is_active) == (False, True)


@pytest.mark.parametrize(
    ("fields", "email"),
    [
        ({"email_addresses": []}, None),
        ({"primary_email_address_id": None}, None),
        ({"primary_email_address_id": "idn_of_another"}, None),
        ({}, "ada@example.test"),
    ],
)
def test_only_the_primary_address_is_stored(fields: dict[str, Any], email: str | None) -> None:
    outcome_of(envelope("user.created", user_data(**fields)))
    assert get_user().email == email


@pytest.mark.parametrize(
    "event_type", ["session.created", "organization.created", "user.erased", "x", "user.created.v2"]
)
def test_event_of_another_type_is_recorded_as_ignored(event_type: str) -> None:
    assert outcome_of(envelope(event_type, {"id": "user_1"})) == "ignored"
    assert (get_entry().type, get_entry().outcome, get_entry().clerk_id) == (event_type, "ignored", None)
    assert not User.objects.exists()


@pytest.mark.parametrize("event_type", ["x" * 5000, "line\nbreak", "nul\x00", "half\ud800"])
def test_odd_type_is_stored_short_and_printable(event_type: str) -> None:
    assert outcome_of(envelope(event_type, {})) == "ignored"
    assert len(get_entry().type) <= 100
    assert get_entry().type.isprintable()


UNUSABLE_IDS: list[object] = [None, "", 7, ["user_1"], "user_\x00", "user_" + "x" * 500, "org_1"]
UNUSABLE: list[object] = [None, 7, "user_1", [], {}, *({"id": clerk_id} for clerk_id in UNUSABLE_IDS)]


@pytest.mark.parametrize("data", UNUSABLE)
@pytest.mark.parametrize("event_type", ["user.created", "user.updated", "user.deleted"])
def test_unusable_event_is_recorded_and_reported_as_rejected(
    event_type: str, data: object, record_signal: RecordSignal
) -> None:
    failures = record_signal(sync_failed)
    assert outcome_of(envelope(event_type, data)) == "rejected"
    entry = get_entry()
    assert (entry.outcome, entry.clerk_id) == ("rejected", None)
    assert entry.error_code
    [failure] = failures
    assert (failure["clerk_id"], failure["source"]) == (None, "webhook")
    assert failure["reason"] == "unusable_profile"
    assert not User.objects.exists()


def test_unusable_event_does_not_block_later_events() -> None:
    outcome_of(envelope("user.updated", {"id": None}))
    assert outcome_of(envelope("user.created", user_data())) == "created"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "nul\x00"),
        ("first_name", ["Ada"]),
        ("last_name", "x" * 300),
        ("image_url", {"href": "x"}),
    ],
)
def test_unusable_field_is_reported_and_other_fields_are_stored(
    field: str, value: object, record_signal: RecordSignal, django_capture_on_commit_callbacks: Any
) -> None:
    failures = record_signal(sync_failed)
    with django_capture_on_commit_callbacks(execute=True):
        assert outcome_of(envelope("user.created", user_data() | {field: value})) == "created"
    assert getattr(get_user(), field) == ""
    assert get_user().email == "ada@example.test"
    [failure] = failures
    assert (failure["clerk_id"], failure["source"]) == ("user_1", "webhook")
    assert failure["reason"] == f"unusable_field:{field}"


@pytest.mark.parametrize("stamp", [None, "soon", -1, 10**20, 5])
def test_event_without_usable_time_has_the_receipt_time(stamp: object) -> None:
    event = envelope("user.deleted", {"id": "user_1"}) | {"timestamp": stamp}
    before = datetime.now(UTC)
    assert outcome_of(event) == "deleted"
    assert (get_entry().occurred_at - before).total_seconds() == pytest.approx(0, abs=2)
    assert get_entry().occurred_at == get_entry().received_at


def test_time_in_seconds_is_converted() -> None:
    outcome_of(envelope("user.deleted", {"id": "user_1"}, at=1_780_000_000))
    assert get_entry().occurred_at == datetime.fromtimestamp(1_780_000_000, UTC)


def test_ledger_has_no_column_for_the_data() -> None:
    svix_id, moment = next_id(), now() - HOUR_MS
    outcome_of(envelope("user.created", user_data(), at=moment), svix_id=svix_id)
    entry = get_entry()
    assert (entry.svix_id, entry.type, entry.clerk_id) == (svix_id, "user.created", "user_1")
    assert (entry.outcome, entry.attempts, entry.error_code) == ("created", 1, "")
    assert entry.occurred_at == datetime.fromtimestamp(moment / 1000, UTC)
    names = (
        "id svix_id type clerk_id occurred_at received_at outcome attempts error_code "
        "handled_at failed_handler"
    )
    assert {field.name for field in WebhookEvent._meta.get_fields()} == set(names.split())


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of the process to Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_ledger_is_in_utc_in_every_time_zone() -> None:
    outcome_of(envelope("user.created", user_data(), at=1_780_000_000_000))
    assert get_entry().occurred_at == datetime.fromtimestamp(1_780_000_000, UTC)


def test_user_without_updated_at_has_the_event_time() -> None:
    moment = now() - HOUR_MS
    data = {key: value for key, value in user_data().items() if key != "updated_at"}
    outcome_of(envelope("user.updated", data, at=moment))
    assert get_user().field_versions["first_name"][0] == moment
