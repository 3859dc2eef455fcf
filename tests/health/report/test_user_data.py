"""Values that cannot be stored: information while they concern single users."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from health.report.build import Report, build_report
from tests.factories import UserFactory
from tests.health.rows import failures

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def report_with(*, users: int, affected: int) -> Report:
    """Return the report of so many live users, of whom the first have values that cannot be stored."""
    rows = User.objects.bulk_create(UserFactory.build_batch(users, created_at=NOW))
    batch = [
        failures(str(row.clerk_id), at=NOW, source=source, reason=f"unusable_field:{field}")
        for row in rows[:affected]
        for source in ("request", "webhook")
        for field in ("first_name", "last_name")
    ]
    SyncFailure.objects.record(batch, now=NOW)
    return build_report(now=NOW)


def codes(entries: list[Any]) -> set[str]:
    return {entry.code for entry in entries}


@pytest.mark.parametrize("name", ["null", "x" * 256])
def test_one_user_with_such_a_name_does_not_degrade_the_report(
    clerk: LocalClerk, clerk_settings: Settings, client: Client, name: str
) -> None:
    token = clerk.mint("ada", claims={"first_name": name})
    for _ in range(2):
        answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200

    built = build_report(now=timezone.now())

    assert built.status == "ok"
    assert built.failures.by_reason == {"unusable_field:first_name": 1}
    (note,) = [note for note in built.notes if note.code == "unusable_field"]
    assert "Correct it in Clerk" in note.next_step
    assert client.get("/health/sync").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("users", "affected", "status"),
    [
        (10, 4, "ok"),  # below five users
        (10, 5, "degraded"),
        (500, 5, "ok"),  # exactly 1 %
        (499, 5, "degraded"),
        (700, 7, "ok"),
        (700, 8, "degraded"),
    ],
)
def test_more_than_1_percent_and_at_least_five_users_degrade_the_report(
    users: int, affected: int, status: str
) -> None:
    built = report_with(users=users, affected=affected)

    assert built.status == status
    shown, hidden = (built.reasons, built.notes) if status == "degraded" else (built.notes, built.reasons)
    assert "unusable_field" in codes(shown)
    assert "unusable_field" not in codes(hidden)


def test_deleted_users_and_local_staff_do_not_count_as_users() -> None:
    User.objects.bulk_create(UserFactory.build_batch(500, deleted_at=NOW, deleted_by="clerk"))
    User.objects.bulk_create(UserFactory.build_batch(100, clerk_id=None))

    assert report_with(users=499, affected=5).status == "degraded"


def test_another_failure_still_degrades_the_report() -> None:
    SyncFailure.objects.record([failures(at=NOW, reason="lock_timeout")], now=NOW)

    built = report_with(users=10, affected=1)

    assert (built.status, codes(built.reasons)) == ("degraded", {"lock_timeout"})


def test_few_users_cost_no_look_at_the_table_of_users() -> None:
    with CaptureQueriesContext(connection) as captured:
        report_with(users=10, affected=4)
    assert not [query for query in captured if "OFFSET" in query["sql"]]
