"""How a webhook ends a failure without paying for it: real deliveries, and the ledger that they leave."""

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
def test_an_unchanged_delivery_is_four_statements_at_the_server_with_everybody_listening(later: int) -> None:
    moment = now() - 3_600_000
    outcome_of(envelope("user.created", user_data(updated_at=moment)))
    with CaptureQueriesContext(connection) as captured:
        assert outcome_of(envelope("user.updated", user_data(updated_at=moment + later))) == "unchanged"
    # What goes in one round trip may still be several statements.
    statements = [part.strip() for each in captured for part in each["sql"].split(";")]
    counted = [part for part in statements if not part.startswith(("BEGIN", "COMMIT", "SET LOCAL"))]
    assert len(counted) <= 4, counted


@pytest.mark.parametrize("outcome", ["created", "updated", "unchanged", "stale", "deleted"])
def test_any_later_webhook_that_succeeded_ends_the_failure_when_it_came(outcome: str) -> None:
    at = timezone.now()
    failed(at=at - HOUR)
    event("user_1", at=at - MINUTE, outcome=outcome)
    assert open_failures() == 0
    assert SyncFailure.objects.get().closed_at == at - MINUTE


@pytest.mark.parametrize("outcome", [EventOutcome.FAILED, EventOutcome.REJECTED, EventOutcome.IGNORED])
def test_a_webhook_that_did_nothing_ends_no_failure(outcome: str) -> None:
    failed(at=timezone.now() - HOUR)
    event("user_1", at=timezone.now(), outcome=outcome)
    assert open_failures() == 1


def test_an_earlier_webhook_and_those_of_others_end_no_failure() -> None:
    at = timezone.now()
    failed(at=at)
    event("user_1", at=at - MINUTE)
    event("user_2", at=at + MINUTE)
    assert open_failures() == 1


def test_a_field_that_cannot_be_stored_is_open_until_a_webhook_brings_one_that_can() -> None:
    outcome_of(envelope("user.created", user_data(first_name=LONG)))
    assert open_failures() == 1
    outcome_of(envelope("user.updated", user_data(first_name=LONG, updated_at=now() + 1)))
    assert open_failures() == 1
    outcome_of(envelope("user.updated", user_data(first_name="Ada", updated_at=now() + 2)))
    assert open_failures() == 0


def test_a_delivery_that_failed_ends_its_failure_when_it_is_repeated_with_success() -> None:
    repeated, svix_id = envelope("user.created", user_data()), next_id()

    def stumble(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT INTO") and "accounts_user" in sql:
            raise LookupError
        return execute(sql, *rest)

    with connection.execute_wrapper(stumble):
        assert deliver(repeated, svix_id=svix_id).status_code == 503
    assert open_failures() == 1
    assert outcome_of(repeated, svix_id=svix_id) == "created"
    assert open_failures() == 0


def test_a_failure_after_the_webhook_is_a_new_one() -> None:
    at = timezone.now() - HOUR
    failed(at=at)
    event("user_1", at=at + MINUTE)
    failed(at=at + 2 * MINUTE)
    assert open_failures() == 1
    assert SyncFailure.objects.open().get().first_at == at + 2 * MINUTE


def test_the_list_in_the_admin_shows_no_failure_that_a_webhook_has_mended() -> None:
    client = Client()
    client.force_login(User.objects.create(username="helga", is_staff=True, is_superuser=True))
    failed(at=timezone.now() - HOUR)
    event("user_1", at=timezone.now())
    assert "user_1" not in client.get("/admin/health/syncfailure/").content.decode()


def test_the_event_that_mended_a_failure_is_not_pruned_before_its_word_is_heard() -> None:
    at = timezone.now() - timedelta(days=40)
    event("user_first", at=at - HOUR)
    failed(at=at)
    event("user_1", at=at + HOUR)
    call_command("prune_history", "--older-than", "30", verbosity=0)
    assert not SyncFailure.objects.exists()
