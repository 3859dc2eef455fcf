"""The sync of a page has the same result as the sync of each of its users."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection
from django.test.utils import CaptureQueriesContext

from accounts.bulk.page_sync import sync_page
from accounts.clerk.profiles import Source
from accounts.models import User
from accounts.signals import sync_failed
from accounts.sync import Outcome, delete_locally, delete_user, sync_user
from tests.accounts.profiles import T, profile
from tests.webhooks.trouble import trigger

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ["", "Ada", "Bea", "Cleo"]
Failures = list[dict[str, Any]]


@pytest.fixture
def failures() -> Iterator[Failures]:
    received: Failures = []

    def listen(sender: object, signal: object, **facts: Any) -> None:
        received.append(facts)

    sync_failed.connect(listen)
    yield received
    sync_failed.disconnect(listen)


def get_values() -> list[str]:
    names = ("clerk_id", "email", "email_verified", "first_name", "banned", "deleted_by", "field_versions")
    return sorted(map(repr, User.objects.values_list(*names)))


def create_rows(clerk_ids: list[str]) -> None:
    """Create rows in every state that the sync of a page can find."""
    for number, clerk_id in enumerate(clerk_ids):
        if number % 6 == 0:
            continue
        user = sync_user(
            profile(
                Source.API,
                T - 10 + number % 3 * 10,
                clerk_id=clerk_id,
                first_name="Ada",
                email=f"{clerk_id}@x.test",
            )
        ).identity
        assert user
        if number % 6 == 1:
            delete_locally(user)
        if number % 6 == 2:
            delete_user(clerk_id, at=T)


@pytest.mark.parametrize("seed", range(5))
def test_page_and_single_users_have_the_same_result(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    clerk_ids = [f"user_{number}" for number in range(36)]
    page = [
        profile(
            Source.API,
            T + chance.choice([-20, 0, 20]),
            clerk_id=clerk_id,
            first_name=chance.choice(NAMES),
            email=chance.choice([None, f"{clerk_id}@x.test"]),
            email_verified=chance.choice([True, False]),
            banned=chance.choice([True, False]),
        )
        for clerk_id in chance.sample(clerk_ids, len(clerk_ids))
    ]
    create_rows(clerk_ids)
    page_outcomes = sync_page(page, source="backfill").outcomes
    first = get_values()
    User.objects.all()._raw_delete("default")
    create_rows(clerk_ids)
    single_outcomes = {profile.clerk_id: sync_user(profile).outcome for profile in page}
    assert page_outcomes == single_outcomes
    assert first == get_values()
    assert set(page_outcomes.values()) >= {Outcome.CREATED, Outcome.STALE}


def test_unchanged_page_is_one_select_and_one_look_for_failures() -> None:
    page = [profile(Source.API, clerk_id=f"user_{number}", first_name="Ada") for number in range(200)]
    sync_page(page, source="backfill")
    with CaptureQueriesContext(connection) as captured:
        assert set(sync_page(page, source="backfill").outcomes.values()) == {Outcome.UNCHANGED}
    frame = ("BEGIN", "COMMIT", "SELECT count(pg_advisory_xact_lock")
    found = [query["sql"] for query in captured if not query["sql"].startswith(frame)]
    assert [(sql.split()[0], "health_syncfailure" in sql) for sql in found] == [
        ("SELECT", False),
        ("SELECT", True),
    ]


def test_confirmed_page_is_one_select_and_one_update() -> None:
    sync_page(
        [profile(Source.API, clerk_id=f"user_{number}", first_name="Ada") for number in range(50)],
        source="backfill",
    )
    later = [profile(Source.API, T + 5, clerk_id=f"user_{number}", first_name="Ada") for number in range(50)]
    with CaptureQueriesContext(connection) as captured:
        assert set(sync_page(later, source="backfill").outcomes.values()) == {Outcome.UNCHANGED}
    assert [query["sql"].split()[0] for query in captured if "accounts_user" in query["sql"]] == [
        "SELECT",
        "UPDATE",
    ]
    assert all(row.field_versions["first_name"][0] == T + 5 for row in User.objects.all())


def test_only_changed_rows_are_written() -> None:
    page = [profile(Source.API, clerk_id=f"user_{number}", first_name="Ada") for number in range(20)]
    sync_page(page, source="backfill")
    before = dict(User.objects.values_list("clerk_id", "updated_at"))
    page[3] = profile(Source.API, T + 1, clerk_id="user_3", first_name="Zoe")
    outcomes = sync_page(page, source="backfill").outcomes
    assert {clerk_id for clerk_id, outcome in outcomes.items() if outcome == Outcome.UPDATED} == {"user_3"}
    after = dict(User.objects.values_list("clerk_id", "updated_at"))
    assert {clerk_id for clerk_id in after if after[clerk_id] != before[clerk_id]} == {"user_3"}


def test_dry_run_returns_outcomes_and_writes_nothing() -> None:
    sync_user(profile(Source.API, clerk_id="user_1", first_name="Ada"))
    page = [
        profile(Source.API, T + 1, clerk_id="user_1", first_name="Zoe"),
        profile(Source.API, clerk_id="user_2"),
    ]
    outcomes = sync_page(page, source="backfill", dry_run=True).outcomes
    assert outcomes == {"user_1": Outcome.UPDATED, "user_2": Outcome.CREATED}
    assert list(User.objects.values_list("first_name", flat=True)) == ["Ada"]


def test_user_listed_twice_gets_one_row() -> None:
    page = [
        profile(Source.API, clerk_id="user_1", first_name="Ada"),
        profile(Source.API, clerk_id="user_2"),
        profile(Source.API, T + 1, clerk_id="user_1", first_name="Augusta"),
    ]
    sync_page(page, source="backfill")
    sync_page(page, source="backfill")
    names = User.objects.live().order_by("clerk_id").values_list("clerk_id", "first_name")
    assert list(names) == [("user_1", "Augusta"), ("user_2", "")]


def test_unusable_fields_are_reported_with_the_command(failures: Failures) -> None:
    page = [
        replace(profile(Source.API, clerk_id="user_1", first_name="Ada"), unusable=("email", "image_url"))
    ]
    sync_page(page, source="reconcile")
    assert failures == [
        {"clerk_id": "user_1", "source": "reconcile", "reason": f"unusable_field:{field}"}
        for field in ("email", "image_url")
    ]


def test_dry_run_notifies_no_observer(failures: Failures) -> None:
    sync_page(
        [replace(profile(Source.API, clerk_id="user_1"), unusable=("email",))],
        source="reconcile",
        dry_run=True,
    )
    assert failures == []


def test_empty_page_has_no_outcomes() -> None:
    assert sync_page([], source="backfill").outcomes == {}


@pytest.mark.postgresql
def test_user_that_cannot_be_stored_stops_no_other(failures: Failures) -> None:
    page = [profile(Source.API, clerk_id=f"user_{number}", first_name="Ada") for number in range(10)]
    with trigger("IF NEW.clerk_id = 'user_4' THEN RAISE EXCEPTION 'no'; END IF"):
        result = sync_page(page, source="backfill")
    assert result.failed == ("user_4",)
    assert len(result.outcomes) == 9
    assert User.objects.count() == 9
    assert failures == [{"clerk_id": "user_4", "source": "backfill", "reason": "database_error"}]


@pytest.mark.postgresql
def test_page_without_any_stored_user_is_an_error() -> None:
    with trigger("RAISE EXCEPTION 'no'"), pytest.raises(DatabaseError):
        sync_page(
            [profile(Source.API, clerk_id="user_1"), profile(Source.API, clerk_id="user_2")],
            source="backfill",
        )


def test_page_on_a_dead_connection_is_stored_user_by_user() -> None:
    pending = [InterfaceError()]

    def fail_once(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if pending and sql.startswith("INSERT"):
            raise pending.pop()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_once):
        result = sync_page([profile(Source.API, clerk_id=f"user_{number}") for number in "12"], source="x")

    assert result.outcomes == {"user_1": Outcome.CREATED, "user_2": Outcome.CREATED}
