"""Deliveries as Svix makes them, and each of their faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from svix.webhooks import Webhook, WebhookVerificationError

from devclerk import webhooks
from devclerk.events import Faults
from devclerk.fixtures import LocalClerk
from tests.devclerk.receiver import Receiver

SECRET = webhooks.new_webhook_secret()
EVENT = {"type": "user.updated"}
MakeDeliveries = Callable[..., webhooks.Deliveries]


@pytest.fixture
def make_deliveries(receiver: Receiver) -> Iterator[MakeDeliveries]:
    """Return a function that starts a queue to the receiver, with time limits of its own."""
    started = []

    def make_deliveries(**options: Any) -> webhooks.Deliveries:
        started.append(webhooks.Deliveries(secret=SECRET, url=receiver.url, **options))
        return started[-1]

    yield make_deliveries
    for deliveries in started:
        deliveries.stop()


def update(clerk: LocalClerk, name: str = "ada", **faults: Any) -> None:
    """Change a user, with faults of the delivery."""
    clerk.update(name, first_name=f"{time.time_ns()}", faults=Faults(**faults))


def test_every_change_is_sent_in_order(clerk: LocalClerk, receiver: Receiver) -> None:
    bob = clerk.new_person(handle="bob")
    clerk.update(bob, banned=True)
    clerk.delete(bob)
    events = [delivery.event for delivery in receiver.wait(3)]
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


def test_a_deletion_contains_only_the_ids(clerk: LocalClerk, receiver: Receiver) -> None:
    ada = clerk.person("ada")
    clerk.delete(ada)
    data = receiver.wait(1)[0].event["data"]
    assert data == {"object": "user", "id": ada.id, "deleted": True, "external_id": None}


def test_the_signature_is_svixs(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk)
    receiver.wait(1)[0].verify(clerk.webhook_secret)


def test_a_failed_delivery_is_retried_with_the_same_id(clerk: LocalClerk, receiver: Receiver) -> None:
    receiver.statuses = [503, 400]
    update(clerk)
    deliveries = receiver.wait(3)
    assert len({delivery.svix_id for delivery in deliveries}) == 1
    assert len({delivery.body for delivery in deliveries}) == 1
    attempts = [(one.number, one.status) for one in clerk.emulator.deliveries.attempts]
    assert attempts[:2] == [(1, 503), (2, 400)]


def test_each_attempt_has_its_own_signature(receiver: Receiver, make_deliveries: MakeDeliveries) -> None:
    receiver.statuses = [503]
    make_deliveries(retry_schedule=(1.1,)).send(EVENT, svix_id="msg_1")
    first, second = receiver.wait(2)
    assert second.stamp > first.stamp
    second.verify(SECRET)


@pytest.mark.parametrize("status", [300, 302, 400, 404, 500])
def test_any_status_but_2xx_is_a_failure(clerk: LocalClerk, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    update(clerk)
    receiver.wait(2)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_2xx_ends_the_retries(clerk: LocalClerk, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    update(clerk)
    assert receiver.stays_at(1)


def test_the_attempts_follow_the_schedule_and_end_with_it(clerk: LocalClerk, receiver: Receiver) -> None:
    receiver.statuses = [500] * 50
    update(clerk)
    assert receiver.stays_at(1 + len(clerk.emulator.deliveries.retry_schedule))
    times = [delivery.at for delivery in receiver.received]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    schedule = clerk.emulator.deliveries.retry_schedule
    assert all(gap >= wait - 0.01 for gap, wait in zip(gaps, schedule, strict=True))


def test_the_default_schedule_is_svixs() -> None:
    assert webhooks.RETRY_SCHEDULE_SECONDS == (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)


def test_an_unreachable_endpoint_is_retried(clerk: LocalClerk, httpserver: HTTPServer) -> None:
    clerk.send_webhooks_to("http://127.0.0.1:9/hook")
    update(clerk)
    deadline = time.monotonic() + 5
    while not clerk.emulator.deliveries.attempts and time.monotonic() < deadline:
        time.sleep(0.01)
    assert clerk.emulator.deliveries.attempts[0].status is None
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    receiver.wait(1)


def test_a_late_answer_is_a_failure(receiver: Receiver, make_deliveries: MakeDeliveries) -> None:
    receiver.delay_seconds = 0.5
    deliveries = make_deliveries(attempt_seconds=0.1, retry_schedule=(0.1, 0.1))
    deliveries.send(EVENT, svix_id="msg_1")
    # The receiver answers one request at a time, so every attempt arrives, but too late.
    assert {delivery.svix_id for delivery in receiver.wait(3)} == {"msg_1"}
    assert deliveries.attempts[0].status is None


def test_copies_are_the_same_message(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, copies=5)
    deliveries = receiver.wait(5)
    assert len({(delivery.svix_id, delivery.body) for delivery in deliveries}) == 1
    assert receiver.stays_at(5)


def test_a_reordered_event_follows_the_next_one(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, "ada", reorder=True)
    update(clerk, "grace")
    user_ids = [delivery.event["data"]["id"] for delivery in receiver.wait(2)]
    assert user_ids == [clerk.person("grace").id, clerk.person("ada").id]


def test_a_reordered_event_without_a_next_one_is_late(
    receiver: Receiver, make_deliveries: MakeDeliveries
) -> None:
    started = time.monotonic()
    make_deliveries(reorder_seconds=0.3).send(EVENT, svix_id="msg_1", faults=Faults(reorder=True))
    assert receiver.wait(1)[0].at - started >= 0.3


def test_a_delayed_event_is_late_and_does_not_block_others(clerk: LocalClerk, receiver: Receiver) -> None:
    started = time.monotonic()
    update(clerk, "ada", delay=0.3)
    update(clerk, "grace")
    first, second = receiver.wait(2)
    assert first.event["data"]["id"] == clerk.person("grace").id
    assert second.at - started >= 0.3


def test_a_dropped_event_is_never_sent(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, "ada", drop=True)
    update(clerk, "grace")
    assert receiver.stays_at(1)
    assert receiver.received[0].event["data"]["id"] == clerk.person("grace").id


def test_svix_refuses_a_bad_signature(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, bad_signature=True)
    with pytest.raises(WebhookVerificationError, match="signature"):
        receiver.wait(1)[0].verify(clerk.webhook_secret)


def test_svix_refuses_a_stale_delivery_for_its_time_alone(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, stale=True)
    (delivery,) = receiver.wait(1)
    with pytest.raises(WebhookVerificationError, match="too old"):
        delivery.verify(clerk.webhook_secret)
    then = datetime.fromtimestamp(delivery.stamp, UTC)
    signature = Webhook(clerk.webhook_secret).sign(delivery.svix_id, then, delivery.body.decode())
    assert delivery.headers["Svix-Signature"] == signature


def test_nothing_is_sent_without_an_address(clerk: LocalClerk, receiver: Receiver) -> None:
    clerk.send_webhooks_to(None)
    update(clerk)
    clerk.send_webhooks_to(receiver.url)
    update(clerk, "grace")
    assert receiver.stays_at(1)


def test_a_reset_empties_the_queue(clerk: LocalClerk, receiver: Receiver) -> None:
    update(clerk, delay=0.2)
    clerk.emulator.reset()
    time.sleep(0.4)
    assert receiver.received == []


def test_sign_webhook_signs_as_svix_does(clerk: LocalClerk) -> None:
    headers, body = clerk.sign_webhook({"type": "user.updated"}, svix_id="msg_1")
    Webhook(clerk.webhook_secret).verify(body, headers)
    assert headers["svix-id"] == "msg_1"


def test_sign_webhook_can_use_another_time_and_secret(clerk: LocalClerk) -> None:
    other = webhooks.new_webhook_secret()
    headers, body = clerk.sign_webhook(b"anything", at=time.time() - 600, secret=other)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(other).verify(body, headers)
    headers, body = clerk.sign_webhook(b"anything", secret=other)
    with pytest.raises(WebhookVerificationError, match="signature"):
        Webhook(clerk.webhook_secret).verify(body, headers)
