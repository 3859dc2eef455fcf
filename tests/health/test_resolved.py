"""Failures that a webhook or a first request resolves, by the row that it stores."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from health.report.build import build_report
from tests.health.rows import HOUR, MINUTE, event, failures
from tests.webhooks.deliveries import SECRET, deliver, envelope, next_id, now, outcome_of, user_data
from webhooks.models import EventOutcome

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "x" * 5_000


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)


def open_failures() -> int:
    return build_report(now=timezone.now()).failures.open


def failed(clerk_id: str = "user_1", *, at: datetime, **options: Any) -> None:
    SyncFailure.objects.record([failures(clerk_id, at=at, reason="unusable_field:email", **options)], now=at)


@pytest.mark.postgresql
@pytest.mark.parametrize("later", [0, 1000], ids=["same version", "newer version"])
def test_unchanged_delivery_is_four_statements_with_all_receivers(later: int) -> None:
    moment = now() - 3_600_000
    outcome_of(envelope("user.created", user_data(updated_at=moment)))
    with CaptureQueriesContext(connection) as captured:
        assert outcome_of(envelope("user.updated", user_data(updated_at=moment + later))) == "unchanged"
    # One round trip may have several statements.
    statements = [part.strip() for each in captured for part in each["sql"].split(";")]
    counted = [part for part in statements if not part.startswith(("BEGIN", "COMMIT", "SET LOCAL"))]
    assert len(counted) <= 4, counted


@pytest.mark.parametrize("outcome", ["created", "updated", "unchanged", "stale", "deleted"])
def test_later_successful_webhook_closes_the_failure_at_its_time(outcome: str) -> None:
    at = timezone.now()
    failed(at=at - HOUR)
    event("user_1", at=at - MINUTE, outcome=outcome)
    assert open_failures() == 0
    assert SyncFailure.objects.get().closed_at == at - MINUTE


@pytest.mark.parametrize("outcome", [EventOutcome.FAILED, EventOutcome.REJECTED, EventOutcome.IGNORED])
def test_unsuccessful_webhook_closes_no_failure(outcome: str) -> None:
    failed(at=timezone.now() - HOUR)
    event("user_1", at=timezone.now(), outcome=outcome)
    assert open_failures() == 1


def test_earlier_webhook_and_those_of_others_close_no_failure() -> None:
    at = timezone.now()
    failed(at=at)
    event("user_1", at=at - MINUTE)
    event("user_2", at=at + MINUTE)
    assert open_failures() == 1


def test_unusable_field_is_open_until_a_webhook_brings_a_usable_one() -> None:
    outcome_of(envelope("user.created", user_data(first_name=LONG)))
    assert open_failures() == 1
    outcome_of(envelope("user.updated", user_data(first_name=LONG, updated_at=now() + 1)))
    assert open_failures() == 1
    outcome_of(envelope("user.updated", user_data(first_name="Ada", updated_at=now() + 2)))
    assert open_failures() == 0


def test_successful_repetition_closes_the_failure_of_a_delivery() -> None:
    repeated, svix_id = envelope("user.created", user_data()), next_id()

    def fail_insert(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT INTO") and "accounts_user" in sql:
            raise LookupError
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_insert):
        assert deliver(repeated, svix_id=svix_id).status_code == 503
    assert open_failures() == 1
    assert outcome_of(repeated, svix_id=svix_id) == "created"
    assert open_failures() == 0


def test_first_request_closes_the_failures_of_the_user_at_its_time(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    person = clerk.new_person(first_name="Ada")
    failed(person.id, at=timezone.now() - MINUTE)
    failed("user_other", at=timezone.now() - MINUTE)
    headers = {"Authorization": f"Bearer {clerk.mint(person)}"}
    assert Client(headers=headers).get("/api/v1/me").status_code == 200
    assert open_failures() == 1
    closed = SyncFailure.objects.exclude(closed_at=None).get()
    assert (closed.clerk_id, closed.closed_at) == (person.id, User.objects.get().created_at)


def test_value_that_a_first_request_cannot_store_stays_a_failure(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    token = clerk.mint(clerk.new_person(first_name="Ada"), claims={"first_name": LONG})
    headers = {"Authorization": f"Bearer {token}"}
    assert Client(headers=headers).get("/api/v1/me").status_code == 200
    assert open_failures() == 1


def test_failure_after_the_webhook_is_a_new_one() -> None:
    at = timezone.now() - HOUR
    failed(at=at)
    event("user_1", at=at + MINUTE)
    failed(at=at + 2 * MINUTE)
    assert open_failures() == 1
    assert SyncFailure.objects.open().get().first_at == at + 2 * MINUTE


def test_admin_list_hides_failure_that_a_webhook_resolved() -> None:
    client = Client()
    client.force_login(User.objects.create(username="helga", is_staff=True, is_superuser=True))
    failed(at=timezone.now() - HOUR)
    event("user_1", at=timezone.now())
    assert "user_1" not in client.get("/admin/health/syncfailure/").content.decode()


def test_prune_history_closes_a_resolved_failure_before_it_deletes_the_event() -> None:
    at = timezone.now() - timedelta(days=40)
    event("user_first", at=at - HOUR)
    failed(at=at)
    event("user_1", at=at + HOUR)
    call_command("prune_history", "--older-than", "30", verbosity=0)
    assert not SyncFailure.objects.exists()
