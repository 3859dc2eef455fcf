"""Parallel deliveries of the same events on PostgreSQL."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.test import Client

from accounts.models import User
from tests.webhooks.deliveries import deliver, envelope, next_id, now, user_data
from tests.webhooks.trouble import trigger
from webhooks.models import WebhookEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
HOUR_MS = 3_600_000
DELETION = {"id": "user_1", "object": "user", "deleted": True}


def deliver_all(deliveries: list[tuple[str, dict[str, object]]]) -> Counter[tuple[str, str]]:
    """Deliver the events in this order with a new client and connection; count the outcomes for each id."""
    try:
        client = Client()
        outcomes: Counter[tuple[str, str]] = Counter()
        for svix_id, event in deliveries:
            # On a busy machine a delivery may not get its turn. Svix delivers it again.
            while (response := deliver(event, client=client, svix_id=svix_id)).status_code == 503:
                time.sleep(0.1)
            assert response.status_code == 200, response.content
            outcomes[svix_id, response.json()["outcome"]] += 1
        return outcomes
    finally:
        connections.close_all()


@pytest.mark.parametrize("deleted", [False, True], ids=["alive", "deleted"])
@pytest.mark.parametrize("seed", range(3))
def test_twelve_threads_end_in_the_expected_row(seed: int, *, deleted: bool) -> None:
    start = now() - HOUR_MS
    events = [
        envelope("user.created", user_data(updated_at=start)),
        *(
            envelope("user.updated", user_data(updated_at=start + n, first_name=f"Ada {n % 3}"))
            for n in range(1, 8)
        ),
    ]
    if deleted:
        events.append(envelope("user.deleted", DELETION))
    history = [(next_id(), event) for event in events]
    orders = [random.Random(f"{seed} {n}").sample(history, len(history)) for n in range(12)]  # noqa: S311

    with ThreadPoolExecutor(12) as threads:
        outcomes = sum(threads.map(deliver_all, orders), Counter[tuple[str, str]]())

    for svix_id, _ in history:
        assert outcomes[svix_id, "duplicate"] == 11
    assert sum(outcomes.values()) == 12 * len(history)
    row = User.objects.get()
    assert (row.deleted_at is not None) is deleted
    if not deleted:
        assert row.first_name == "Ada 1"
    ledger = WebhookEvent.objects.all()
    assert {entry.svix_id: entry.attempts for entry in ledger} == {svix_id: 12 for svix_id, _ in history}
    assert Counter(entry.outcome for entry in ledger) == Counter(
        outcome for (_, outcome), number in outcomes.items() for _ in range(number) if outcome != "duplicate"
    )


def test_failure_does_not_overwrite_a_parallel_success() -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE attempts")
    fail_once = "IF nextval('attempts') = 1 THEN PERFORM pg_sleep(0.3); RAISE EXCEPTION 'no'; END IF"

    def status(_: int) -> int:
        try:
            return deliver(event, svix_id=svix_id).status_code
        finally:
            connections.close_all()

    with trigger(fail_once), ThreadPoolExecutor(2) as threads:
        statuses = sorted(threads.map(status, range(2)))
    with connection.cursor() as cursor:
        cursor.execute("DROP SEQUENCE attempts")
    assert statuses == [200, 503]
    entry = WebhookEvent.objects.get()
    assert (entry.outcome, entry.error_code, entry.attempts) == ("created", "", 2)
