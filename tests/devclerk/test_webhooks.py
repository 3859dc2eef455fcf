"""Deliveries as Svix makes them, and each way in which they can go wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from svix.webhooks import Webhook, WebhookVerificationError

from devclerk import webhooks
from devclerk.events import Faults
from devclerk.fixtures import LocalClerk
from tests.devclerk.receiver import Receiver


@pytest.fixture
def receiver(clerk: LocalClerk, httpserver: HTTPServer) -> Iterator[Receiver]:
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    yield receiver
    clerk.standin.reset()


def update(clerk: LocalClerk, name: str = "ada", **faults: Any) -> None:
    """Change somebody, with faults of the delivery."""
    clerk.update(name, first_name=f"{time.time_ns()}", faults=Faults(**faults))


def test_every_change_is_told_in_order(clerk: LocalClerk, receiver: Receiver) -> None:
    bob = clerk.new_person(handle="bob")
    clerk.update(bob, banned=True)
    clerk.delete(bob)
    events = [received.event for received in receiver.wait(3)]
    assert [event["type"] for event in events] == ["user.created", "user.updated", "user.deleted"]
    assert {event["data"]["id"] for event in events} == {bob.id}
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)


def test_an_event_has_clerks_envelope(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk)
    event = receiver.wait(1)[0].event
    assert set(event) == {"object", "type", "timestamp", "instance_id", "data", "event_attributes"}
    assert event["object"] == "event"
    assert event["instance_id"] == clerk.instance_id
    assert event["timestamp"] == event["data"]["updated_at"] == clerk.person("ada").updated_at


def test_a_deletion_tells_only_the_id(clerk: LocalClerk, receiver: Receiver) -> None:
    ada = clerk.person("ada")
    clerk.delete(ada)
    data = receiver.wait(1)[0].event["data"]
    assert data == {"object": "user", "id": ada.id, "deleted": True, "external_id": None}


def test_the_signature_is_svixs(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk)
    receiver.wait(1)[0].verify(clerk.webhook_secret)


def test_a_failed_delivery_is_tried_again_under_the_same_id(clerk: LocalClerk, receiver: Receiver) -> None:
    receiver.statuses = [503, 400]
    update(clerk)
    got = receiver.wait(3)
    assert len({received.svix_id for received in got}) == 1
    assert len({received.body for received in got}) == 1
    attempts = [(one.number, one.status) for one in clerk.standin.deliveries.attempts]
    assert attempts[:2] == [(1, 503), (2, 400)]


def test_each_attempt_is_signed_anew(
    clerk: LocalClerk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clerk.standin.deliveries, "retry_schedule", (1.1,))
    receiver.statuses = [503]
    update(clerk)
    first, second = receiver.wait(2)
    assert second.stamp > first.stamp
    second.verify(clerk.webhook_secret)


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500])
def test_whatever_is_no_2xx_has_failed(clerk: LocalClerk, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    update(clerk)
    receiver.wait(2)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_2xx_ends_it(clerk: LocalClerk, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    update(clerk)
    assert receiver.stays_at(1)


def test_the_attempts_follow_the_schedule_and_end_with_it(clerk: LocalClerk, receiver: Receiver) -> None:
    receiver.statuses = [500] * 50
    update(clerk)
    assert receiver.stays_at(1 + len(clerk.standin.deliveries.retry_schedule))
    gaps = [later.at - earlier.at for earlier, later in zip(receiver.got, receiver.got[1:], strict=False)]
    assert all(
        gap >= wait - 0.01 for gap, wait in zip(gaps, clerk.standin.deliveries.retry_schedule, strict=True)
    )


def test_the_schedule_is_svixs() -> None:
    assert webhooks.RETRY_SCHEDULE == (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)


def test_an_endpoint_that_is_not_there_is_tried_again(clerk: LocalClerk, httpserver: HTTPServer) -> None:
    clerk.send_webhooks_to("http://127.0.0.1:9/hook")
    update(clerk)
    deadline = time.monotonic() + 5
    while not clerk.standin.deliveries.attempts and time.monotonic() < deadline:
        time.sleep(0.01)
    assert clerk.standin.deliveries.attempts[0].status is None
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    receiver.wait(1)


def test_an_answer_that_takes_too_long_has_failed(
    clerk: LocalClerk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ATTEMPT_SECONDS", 0.1)
    receiver.hold = 0.5
    update(clerk)
    # The server answers one at a time, so all the attempts come, though too late.
    got = receiver.wait(1 + len(clerk.standin.deliveries.retry_schedule))
    assert len({received.svix_id for received in got}) == 1
    assert clerk.standin.deliveries.attempts[0].status is None


def test_duplicates_are_the_same_message(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, copies=5)
    got = receiver.wait(5)
    assert len({(received.svix_id, received.body) for received in got}) == 1
    assert receiver.stays_at(5)


def test_a_reordered_event_comes_after_the_next_one(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, "ada", reorder=True)
    update(clerk, "grace")
    people = [received.event["data"]["id"] for received in receiver.wait(2)]
    assert people == [clerk.person("grace").id, clerk.person("ada").id]


def test_a_reordered_event_that_none_follows_comes_late(
    clerk: LocalClerk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "REORDER_SECONDS", 0.3)
    begun = time.monotonic()
    update(clerk, reorder=True)
    assert receiver.wait(1)[0].at - begun >= 0.3


def test_a_delayed_event_comes_late_and_others_pass_it(clerk: LocalClerk, receiver: Receiver) -> None:
    begun = time.monotonic()
    update(clerk, "ada", delay=0.3)
    update(clerk, "grace")
    first, second = receiver.wait(2)
    assert first.event["data"]["id"] == clerk.person("grace").id
    assert second.at - begun >= 0.3


def test_a_dropped_event_never_comes(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, "ada", drop=True)
    update(clerk, "grace")
    assert receiver.stays_at(1)
    assert receiver.got[0].event["data"]["id"] == clerk.person("grace").id


def test_a_bad_signature_is_refused_by_svix(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, bad_signature=True)
    with pytest.raises(WebhookVerificationError, match="signature"):
        receiver.wait(1)[0].verify(clerk.webhook_secret)


def test_a_stale_delivery_is_refused_by_svix_for_its_time_alone(
    clerk: LocalClerk, receiver: Receiver
) -> None:
    update(clerk, stale=True)
    (received,) = receiver.wait(1)
    with pytest.raises(WebhookVerificationError, match="too old"):
        received.verify(clerk.webhook_secret)
    then = datetime.fromtimestamp(received.stamp, UTC)
    signature = Webhook(clerk.webhook_secret).sign(received.svix_id, then, received.body.decode())
    assert received.headers["Svix-Signature"] == signature


def test_nothing_is_sent_without_an_address(clerk: LocalClerk, receiver: Receiver) -> None:
    clerk.send_webhooks_to(None)
    update(clerk)
    clerk.send_webhooks_to(receiver.url)
    update(clerk, "grace")
    assert receiver.stays_at(1)


def test_a_reset_forgets_what_is_on_its_way(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, delay=0.2)
    clerk.standin.reset()
    time.sleep(0.4)
    assert receiver.got == []


def test_a_delivery_signed_for_a_test_is_svixs(clerk: LocalClerk) -> None:
    headers, body = clerk.sign_webhook({"type": "user.updated"}, svix_id="msg_1")
    Webhook(clerk.webhook_secret).verify(body, headers)
    assert headers["svix-id"] == "msg_1"


def test_a_delivery_can_be_signed_at_another_time_and_with_another_secret(clerk: LocalClerk) -> None:
    other = webhooks.new_secret()
    headers, body = clerk.sign_webhook(b"anything", at=time.time() - 600, secret=other)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(other).verify(body, headers)
    headers, body = clerk.sign_webhook(b"anything", secret=other)
    with pytest.raises(WebhookVerificationError, match="signature"):
        Webhook(clerk.webhook_secret).verify(body, headers)
