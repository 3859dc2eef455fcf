from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.dispatch import Signal

from accounts.models import User
from accounts.signals import sync_failed, user_synced
from tests.webhooks.deliveries import encoded, envelope, next_id, now, outcome_of, person
from webhooks.models import WebhookEvent
from webhooks.signals import webhook_received

pytestmark = pytest.mark.django_db

HOUR = 3_600_000
News = list[dict[str, Any]]
Listen = Callable[[Signal], News]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Collect what a signal tells."""
    receivers: list[tuple[Signal, Callable[..., None]]] = []

    def start(signal: Signal) -> News:
        news: News = []

        def receive(sender: object, **told: Any) -> None:
            del told["signal"]
            news.append(told)

        signal.connect(receive)
        receivers.append((signal, receive))
        return news

    yield start
    for signal, receive in receivers:
        signal.disconnect(receive)


def the_entry() -> WebhookEvent:
    return WebhookEvent.objects.get()


def the_person() -> User:
    return User.objects.get(clerk_id="user_1")


@pytest.mark.parametrize("kind", ["user.created", "user.updated"])
def test_a_creation_or_an_update_of_an_unknown_person_makes_the_row(kind: str) -> None:
    assert outcome_of(envelope(kind, person())) == "created"
    row = the_person()
    assert (row.email, row.email_verified) == ("ada@example.test", True)
    assert (row.first_name, row.last_name) == ("Ada", "Lovelace")
    assert row.image_url == "https://img.example.test/ada.png"


@pytest.mark.parametrize("kind", ["user.created", "user.updated"])
def test_a_later_event_of_either_kind_changes_the_row(kind: str) -> None:
    outcome_of(envelope("user.created", person(updated_at=now() - HOUR)))
    assert outcome_of(envelope(kind, person(first_name="Augusta"))) == "updated"
    assert the_person().first_name == "Augusta"


def test_the_same_facts_again_are_unchanged() -> None:
    data = person()
    outcome_of(envelope("user.created", data))
    assert outcome_of(envelope("user.updated", data)) == "unchanged"


def test_an_older_update_is_stale() -> None:
    outcome_of(envelope("user.updated", person(first_name="New")))
    old = person(updated_at=now() - HOUR, first_name="Old")
    assert outcome_of(envelope("user.updated", old)) == "stale"
    assert the_person().first_name == "New"


def test_the_time_of_the_attempt_orders_nothing() -> None:
    outcome_of(envelope("user.updated", person(updated_at=now() - HOUR, first_name="New")))
    old = person(updated_at=now() - 2 * HOUR, first_name="Old")
    assert outcome_of(envelope("user.updated", old, at=now())) == "stale"


def test_a_deletion_is_terminal() -> None:
    outcome_of(envelope("user.created", person(updated_at=now() - HOUR)))
    assert (
        outcome_of(envelope("user.deleted", {"id": "user_1", "object": "user", "deleted": True})) == "deleted"
    )
    assert outcome_of(envelope("user.updated", person(updated_at=now() + 1000))) == "stale"
    row = the_person()
    assert row.deleted_at is not None
    assert row.deleted_by == "clerk"


def test_a_deletion_before_the_creation_leaves_a_tombstone() -> None:
    assert outcome_of(envelope("user.deleted", {"id": "user_1", "deleted": True})) == "deleted"
    assert outcome_of(envelope("user.created", person())) == "stale"
    assert the_person().deleted_by == "clerk"


def test_a_second_deletion_is_stale() -> None:
    outcome_of(envelope("user.deleted", {"id": "user_1"}))
    assert outcome_of(envelope("user.deleted", {"id": "user_1"})) == "stale"


def test_the_deletion_carries_the_time_of_the_envelope() -> None:
    moment = now() - HOUR
    outcome_of(envelope("user.deleted", {"id": "user_1"}, at=moment))
    assert the_person().deleted_at == datetime.fromtimestamp(moment / 1000, UTC)


@pytest.mark.parametrize("flag", ["banned", "deprovisioned"])
def test_a_ban_follows_the_payload_both_ways(flag: str) -> None:
    outcome_of(envelope("user.updated", person(updated_at=now() - HOUR) | {flag: True}))
    assert the_person().banned is True
    outcome_of(envelope("user.updated", person()))
    assert the_person().banned is False


def test_a_lock_is_ignored() -> None:
    outcome_of(envelope("user.updated", person(locked=True)))
    row = the_person()
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
def test_only_the_primary_address_counts(fields: dict[str, Any], email: str | None) -> None:
    outcome_of(envelope("user.created", person(**fields)))
    assert the_person().email == email


@pytest.mark.parametrize(
    "kind", ["session.created", "organization.created", "user.erased", "x", "user.created.v2"]
)
def test_an_event_of_another_type_is_ignored_and_stored(kind: str) -> None:
    assert outcome_of(envelope(kind, {"id": "user_1"})) == "ignored"
    assert (the_entry().type, the_entry().outcome, the_entry().clerk_id) == (kind, "ignored", None)
    assert not User.objects.exists()


@pytest.mark.parametrize("kind", ["x" * 5000, "line\nbreak", "nul\x00", "half\ud800"])
def test_an_odd_type_is_stored_short_and_clean(kind: str) -> None:
    assert outcome_of(envelope(kind, {})) == "ignored"
    assert len(the_entry().type) <= 100
    assert the_entry().type.isprintable()


UNUSABLE_IDS: list[object] = [None, "", 7, ["user_1"], "user_\x00", "user_" + "x" * 500, "org_1"]
UNUSABLE: list[object] = [None, 7, "user_1", [], {}, *({"id": clerk_id} for clerk_id in UNUSABLE_IDS)]


@pytest.mark.parametrize("data", UNUSABLE)
@pytest.mark.parametrize("kind", ["user.created", "user.updated", "user.deleted"])
def test_a_genuine_but_unusable_event_is_rejected_stored_and_told(
    kind: str, data: object, listen: Listen
) -> None:
    failures = listen(sync_failed)
    assert outcome_of(envelope(kind, data)) == "rejected"
    entry = the_entry()
    assert (entry.outcome, entry.clerk_id) == ("rejected", None)
    assert entry.error_code
    assert failures == [{"clerk_id": None, "source": "webhook", "reason": "unusable_profile"}]
    assert not User.objects.exists()


def test_an_unusable_event_does_not_block_what_follows() -> None:
    outcome_of(envelope("user.updated", {"id": None}))
    assert outcome_of(envelope("user.created", person())) == "created"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "nul\x00"),
        ("first_name", ["Ada"]),
        ("last_name", "x" * 300),
        ("image_url", {"href": "x"}),
    ],
)
def test_a_field_that_cannot_be_stored_is_skipped_and_told_and_the_rest_applies(
    field: str, value: object, listen: Listen, django_capture_on_commit_callbacks: Any
) -> None:
    failures = listen(sync_failed)
    with django_capture_on_commit_callbacks(execute=True):
        assert outcome_of(envelope("user.created", person() | {field: value})) == "created"
    assert getattr(the_person(), field) == ""
    assert the_person().email == "ada@example.test"
    expected = {"clerk_id": "user_1", "source": "webhook", "reason": f"unusable_field:{field}"}
    assert failures == [expected]


@pytest.mark.parametrize("stamp", [None, "soon", -1, 10**20, 5])
def test_an_event_without_a_usable_time_happened_when_it_came(stamp: object) -> None:
    event = envelope("user.deleted", {"id": "user_1"}) | {"timestamp": stamp}
    before = datetime.now(UTC)
    assert outcome_of(event) == "deleted"
    assert (the_entry().occurred_at - before).total_seconds() == pytest.approx(0, abs=2)
    assert the_entry().occurred_at == the_entry().received_at


def test_a_time_in_seconds_is_understood() -> None:
    outcome_of(envelope("user.deleted", {"id": "user_1"}, at=1_780_000_000))
    assert the_entry().occurred_at == datetime.fromtimestamp(1_780_000_000, UTC)


def test_the_ledger_keeps_who_what_and_when_but_not_the_contents() -> None:
    svix_id, moment = next_id(), now() - HOUR
    outcome_of(envelope("user.created", person(), at=moment), svix_id=svix_id)
    entry = the_entry()
    assert (entry.svix_id, entry.type, entry.clerk_id) == (svix_id, "user.created", "user_1")
    assert (entry.outcome, entry.attempts, entry.error_code) == ("created", 1, "")
    assert entry.occurred_at == datetime.fromtimestamp(moment / 1000, UTC)
    names = "id svix_id type clerk_id occurred_at received_at outcome attempts error_code"
    assert {field.name for field in WebhookEvent._meta.get_fields()} == set(names.split())


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine's clock show the time of Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_the_ledger_keeps_utc_whatever_the_machine_shows() -> None:
    outcome_of(envelope("user.created", person(), at=1_780_000_000_000))
    assert the_entry().occurred_at == datetime.fromtimestamp(1_780_000_000, UTC)


def test_a_person_without_a_time_is_as_old_as_the_event() -> None:
    moment = now() - HOUR
    data = {key: value for key, value in person().items() if key != "updated_at"}
    outcome_of(envelope("user.updated", data, at=moment))
    assert the_person().field_versions["first_name"][0] == moment


def test_what_is_told_comes_from_the_ledger() -> None:
    senders: list[object] = []

    def receive(sender: object, **_: object) -> None:
        senders.append(sender)

    for signal in (sync_failed, webhook_received):
        signal.connect(receive)
    try:
        outcome_of(envelope("user.updated", {"id": None}))
    finally:
        for signal in (sync_failed, webhook_received):
            signal.disconnect(receive)
    assert senders == [WebhookEvent, WebhookEvent]


def test_observers_are_told_once_after_each_event(
    listen: Listen, django_capture_on_commit_callbacks: Any
) -> None:
    synced, received = listen(user_synced), listen(webhook_received)
    with django_capture_on_commit_callbacks(execute=True):
        outcome_of(envelope("user.created", person(), at=now() - 10_000))
    assert [(told["clerk_id"], str(told["outcome"])) for told in synced] == [("user_1", "created")]
    (told,) = received
    assert (told["event_type"], told["outcome"]) == ("user.created", "created")
    assert told["lag_seconds"] == pytest.approx(10, abs=2)


def test_an_observer_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def raise_always(**_: object) -> None:
        raise RuntimeError

    webhook_received.connect(raise_always)
    try:
        assert outcome_of(envelope("user.created", person())) == "created"
    finally:
        webhook_received.disconnect(raise_always)


def test_each_event_leaves_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    svix_id = next_id()
    with caplog.at_level(logging.INFO, logger="webhooks"):
        outcome_of(envelope("user.created", person()), svix_id=svix_id)
    (record,) = [record for record in caplog.records if record.name.startswith("webhooks")]
    assert (record.getMessage(), record.levelname) == ("Webhook event handled", "INFO")
    facts = {name: getattr(record, name) for name in ("svix_id", "event_type", "clerk_id", "outcome")}
    assert facts == {
        "svix_id": svix_id,
        "event_type": "user.created",
        "clerk_id": "user_1",
        "outcome": "created",
    }


def test_no_personal_data_reaches_the_ledger_or_the_log(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-7f3a"
    data = person(
        email=f"{canary}@example.test",
        first_name=canary,
        last_name=canary * 40,
        image_url=f"https://img.example.test/{canary}\x00",
        username=canary,
        external_id=canary,
        public_metadata={canary: canary},
    )
    with caplog.at_level(logging.DEBUG):
        for kind in ("user.created", "user.updated", "user.deleted", "session.created"):
            outcome_of(envelope(kind, data, event_attributes={"http_request": {"client_ip": canary}}))
            outcome_of(envelope(kind, {"id": f"{canary}\x00"}))
        outcome_of(encoded(envelope("user.updated", [canary])))
    assert canary not in repr(list(WebhookEvent.objects.values()))
    # SQL itself is only logged in debug.
    lines = [record for record in caplog.records if record.name != "django.db.backends"]
    assert canary not in "".join(repr(vars(record)) for record in lines)
