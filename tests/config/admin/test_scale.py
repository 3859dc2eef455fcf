"""The admin with many people and events: an index behind every page. `PEOPLE=1000000` makes it a million."""

from __future__ import annotations

import os
import re
import time

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]
ROWS = int(os.environ.get("PEOPLE", "60000"))
PEOPLE, LEDGER = "/admin/accounts/user/", "/admin/webhooks/webhookevent/"
SOMEBODY = "user_0000001234"
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
    PEOPLE,
    f"{PEOPLE}?p=150",
    f"{PEOPLE}?o=4",
    f"{PEOPLE}?o=1.2.3.5.6",
    *(f"{PEOPLE}?state={state}" for state in ("inactive", "banned", "clerk", "local", "all")),
    f"{PEOPLE}?staff=yes",
    f"{PEOPLE}?staff=yes&state=all",
    f"{PEOPLE}?q={SOMEBODY}",
    f"{PEOPLE}?q={SOMEBODY}&state=all",
    f"{PEOPLE}?q={SOMEBODY}&state=local",
    f"{PEOPLE}?q=00000000-0000-4000-8000-000000000000",
    f"{PEOPLE}?q=person1234",
    f"{PEOPLE}?q=person1234&state=all",
    f"{PEOPLE}?q=first",
    f"{PEOPLE}?q=First12+Last77",
    f"{PEOPLE}?q=nobody+at+all",
    LEDGER,
    f"{LEDGER}?outcome__exact=failed",
    f"{LEDGER}?type=user.updated",
    f"{LEDGER}?q={SOMEBODY}",
    f"{LEDGER}?received_at__year=2026",
    "/admin/health/syncfailure/",
]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("helga", password="a long password"))
    return client


def fill(rows: int) -> None:
    with connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement.replace("%", "%%").replace("%%s", "%s"), [rows])
        cursor.execute("ANALYZE accounts_user")
        cursor.execute("ANALYZE webhooks_webhookevent")


def test_a_list_that_is_not_counted_to_its_end_says_so(client: Client) -> None:
    fill(11_000)
    page = client.get(PEOPLE).content.decode()
    assert "10000 users" in page
    assert "there may be more" in page
    assert "there may be more" not in client.get(f"{PEOPLE}?state=banned").content.decode()


def test_no_page_walks_through_a_table(client: Client) -> None:
    fill(ROWS)
    person = User.objects.live().get(clerk_id=SOMEBODY)
    found = {page: _seconds_and_walks(client, page) for page in [*PAGES, f"{PEOPLE}{person.pk}/change/"]}
    for page, (seconds, _) in found.items():
        print(f"{seconds * 1000:6.0f} ms  {page}")
    assert {page: walks for page, (_, walks) in found.items() if walks} == {}


def _seconds_and_walks(client: Client, page: str) -> tuple[float, list[str]]:
    """Open a page twice; give the time of the second, and the plans that read a table from end to end."""
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
