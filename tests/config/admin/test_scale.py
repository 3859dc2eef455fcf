"""The admin with many users and events: every page uses an index. `USERS=1000000` makes it a million."""

from __future__ import annotations

import os
import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from health.models import SyncFailure
from tests.config.admin.pages import EVENTS, FAILURES, USERS, change_page
from tests.factories import UserFactory
from tests.health.rows import failures

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
ROWS = int(os.environ.get("USERS", "60000"))
CLERK_ID = "user_0000001234"
FILL = (
    """
    INSERT INTO accounts_user (
        id, username, password, clerk_id, email, email_verified, first_name, last_name, image_url, banned,
        is_active, is_staff, is_superuser, date_joined, created_at, updated_at, deleted_at, deleted_by,
        created_via, field_versions)
    SELECT gen_random_uuid(), 'clerk-' || n, '!', 'user_' || lpad(n::text, 10, '0'),
        'person' || n || '@example.test', true, 'First' || n % 5000, 'Last' || n % 7919, '', n % 1000 = 0,
        n % 5000 <> 0, n % 20000 = 0, false, now(), now() - n * interval '1 second', now(),
        CASE WHEN n % 50 = 1 THEN now() END,
        CASE WHEN n % 100 = 1 THEN 'clerk' WHEN n % 50 = 1 THEN 'local' ELSE '' END,
        'webhook', '{"email": [1700000000000, 2]}'
    FROM generate_series(1, %s) AS n
    """,
    """
    INSERT INTO webhooks_webhookevent (
        svix_id, type, clerk_id, outcome, error_code, occurred_at, received_at, attempts)
    SELECT 'msg_' || n, 'user.updated', 'user_' || lpad((n % 50000)::text, 10, '0'),
        CASE WHEN n % 5000 = 0 THEN 'failed' ELSE 'updated' END, '', now() - n * interval '3 second',
        now() - n * interval '2 second', 1
    FROM generate_series(1, %s) AS n
    """,
)
PAGES = [
    USERS,
    f"{USERS}?p=150",
    f"{USERS}?o=4",
    f"{USERS}?o=1.2.3.5.6",
    *(f"{USERS}?state={state}" for state in ("inactive", "banned", "clerk", "local", "all")),
    f"{USERS}?staff=yes",
    f"{USERS}?staff=yes&state=all",
    f"{USERS}?q={CLERK_ID}",
    f"{USERS}?q={CLERK_ID}&state=all",
    f"{USERS}?q={CLERK_ID}&state=local",
    f"{USERS}?q=00000000-0000-4000-8000-000000000000",
    f"{USERS}?q=person1234",
    f"{USERS}?q=person1234&state=all",
    f"{USERS}?q=first",
    f"{USERS}?q=First12+Last77",
    f"{USERS}?q=no+such+user",
    EVENTS,
    f"{EVENTS}?outcome__exact=failed",
    f"{EVENTS}?type=user.updated",
    f"{EVENTS}?q={CLERK_ID}",
    f"{EVENTS}?received_at__year=2026",
    FAILURES,
]


def fill_tables(rows: int) -> None:
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement.replace("%", "%%").replace("%%s", "%s"), [rows])
        cursor.execute("ANALYZE accounts_user")
        cursor.execute("ANALYZE webhooks_webhookevent")


def test_a_list_says_when_its_count_stops_early(client: Client) -> None:
    fill_tables(11_000)
    page = client.get(USERS).content.decode()
    assert "10000 users" in page
    assert "there may be more" in page
    assert "there may be more" not in client.get(f"{USERS}?state=banned").content.decode()


def test_no_page_scans_a_whole_table(client: Client) -> None:
    fill_tables(ROWS)
    user = User.objects.live().get(clerk_id=CLERK_ID)
    found = {page: _measure(client, page) for page in [*PAGES, change_page(user)]}
    for page, (seconds, _) in found.items():
        print(f"{seconds * 1000:6.0f} ms  {page}")
    assert {page: scans for page, (_, scans) in found.items() if scans} == {}


def _measure(client: Client, page: str) -> tuple[float, list[str]]:
    """Open a page twice. Return the seconds of the second time, and its plans with a sequential scan."""
    client.get(page)
    with CaptureQueriesContext(connection) as captured:
        started = time.perf_counter()
        assert client.get(page).status_code == 200
        seconds = time.perf_counter() - started
    plans = [
        _plan(each["sql"]) for each in captured if re.search(r'FROM "(accounts_user|webhooks_)', each["sql"])
    ]
    assert plans
    return seconds, [plan for plan in plans if "Seq Scan on" in plan]


def _plan(sql: str) -> str:
    # The counts stop at ten thousand rows, which may be read in any order.
    if "LIMIT 10000" in sql:
        return ""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return f"{sql}\n" + "\n".join(line for (line,) in cursor.fetchall())


def test_failures_are_resolved_with_indexes() -> None:
    fill_tables(ROWS)
    user = User.objects.live().get(clerk_id=CLERK_ID)
    hour = timedelta(hours=1)
    failure = failures(CLERK_ID, at=user.created_at - hour, reason="unusable_field:email")
    SyncFailure.objects.record([failure], now=user.created_at - hour)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE health_syncfailure")
    with CaptureQueriesContext(connection) as captured:
        assert SyncFailure.objects.close_resolved(now=timezone.now())
    plans = [_plan(each["sql"]) for each in captured if each["sql"].startswith('UPDATE "health_syncfailure"')]
    assert len(plans) == 4
    assert not [plan for plan in plans if "Seq Scan on accounts_user" in plan or "created_at_" in plan]
    assert not SyncFailure.objects.open().exists()


def test_list_counts_no_failure_that_is_resolved(client: Client) -> None:
    user = UserFactory.create()
    SyncFailure.objects.record(
        [
            failures(
                str(user.clerk_id), at=user.created_at - timedelta(hours=1), reason="unusable_field:email"
            )
        ],
        now=user.created_at,
    )
    assert ">1</a>" not in client.get(USERS).content.decode()
    assert not SyncFailure.objects.open().exists()
