"""How many statements the writing paths execute, each of them a round trip to PostgreSQL.

The benchmarks count the round trips on the wire; BEGIN, COMMIT and savepoints are among them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from tests.webhooks.deliveries import SECRET, envelope, next_id, now, outcome_of, user_data

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)


def statements(work: Callable[[], object]) -> int:
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


def test_first_request(clerk: LocalClerk, clerk_settings: Settings) -> None:
    token = clerk.mint(clerk.new_person(first_name="New"))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert statements(lambda: client.get("/api/v1/me")) == 11
    assert statements(lambda: client.get("/api/v1/me")) == 1


def test_webhooks() -> None:
    at, duplicate_id = now(), next_id()
    changed = envelope("user.updated", user_data(first_name="Grace", updated_at=at + 1))
    same = envelope("user.updated", user_data(first_name="Grace", updated_at=at + 1))
    answers = []

    def deliver(event: dict[str, object], svix_id: str | None = None) -> Callable[[], None]:
        return lambda: answers.append(outcome_of(event, svix_id=svix_id))

    assert statements(deliver(envelope("user.created", user_data(updated_at=at)))) == 10
    assert statements(deliver(changed, duplicate_id)) == 9
    assert statements(deliver(same)) == 4
    assert statements(deliver(changed, duplicate_id)) == 3
    assert statements(deliver(envelope("user.deleted", {"id": "user_1", "deleted": True}))) == 5
    assert answers == ["created", "updated", "unchanged", "duplicate", "deleted"]
