"""Parallel writes on PostgreSQL: first requests, deletions and pages at the same time, and locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat
from time import monotonic

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.test import Client

from accounts.bulk.page_sync import sync_page
from accounts.clerk.profiles import Source
from accounts.db import failure_reason, lock_key, retry_on_dead_connection
from accounts.models import DeletedBy, User
from accounts.sync import (
    UserDeleted,
    delete_locally,
    delete_user,
    sync_user,
)
from devclerk.fixtures import LocalClerk
from tests.accounts.profiles import T, profile
from tests.webhooks.trouble import address

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
THREADS = 16


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def with_own_connections(work: Callable[[], object]) -> object:
    """Run `work` with the connections of this thread, and close them.

    A lock that was not free in five seconds, as on a machine that stands still for a while, is no fault of
    the order: the work is done again, as Clerk delivers an event again.
    """
    try:
        return work()
    except OperationalError as error:
        if failure_reason(error) != "lock_timeout":
            raise
        return work()
    finally:
        connections.close_all()


def test_parallel_first_requests_create_one_row_per_user(
    clerk: LocalClerk, clerk_settings: object, threads: ThreadPoolExecutor
) -> None:
    clients = [
        Client(headers={"Authorization": f"Bearer {clerk.mint(clerk.new_person(first_name='New'))}"})
        for _ in range(20)
    ]

    def sign_in(client: Client) -> int:
        return client.get("/api/v1/me").status_code

    requests = [client for client in clients for _ in range(16)]
    answers = list(threads.map(lambda client: with_own_connections(lambda: sign_in(client)), requests))
    assert answers == [200] * 320
    assert User.objects.count() == 20
    assert clerk.api_requests == []


def test_parallel_first_request_revives_no_deleted_user(threads: ThreadPoolExecutor) -> None:
    clerk_ids = [f"user_{number}" for number in range(100)]

    def sign_in(clerk_id: str) -> None:
        with suppress(UserDeleted):
            sync_user(profile(clerk_id=clerk_id, first_name="Ada"))

    work: list[Callable[[], object]] = []
    for clerk_id in clerk_ids:
        work += [lambda clerk_id=clerk_id: sign_in(clerk_id)] * 3  # type: ignore[misc]
        work.append(lambda clerk_id=clerk_id: delete_user(clerk_id, at=T + 1))  # type: ignore[misc]
    list(threads.map(with_own_connections, work))
    assert not User.objects.live().exists()
    rows = User.objects.filter(deleted_by=DeletedBy.CLERK)
    assert set(rows.values_list("clerk_id", flat=True)) == set(clerk_ids)
    assert rows.count() == len(clerk_ids)


def test_local_deletion_during_sign_ins_leaves_one_live_row(threads: ThreadPoolExecutor) -> None:
    first = sync_user(profile(first_name="Ada")).identity
    assert first
    work: list[Callable[[], object]] = [lambda: sync_user(profile(first_name="Ada"))] * 20
    work.insert(10, lambda: delete_locally(first))
    list(threads.map(with_own_connections, work))
    sync_user(profile(first_name="Ada"))
    assert User.objects.live().count() == 1
    assert User.objects.count() == 2


def test_pages_in_any_order_beside_requests_do_not_deadlock(threads: ThreadPoolExecutor) -> None:
    clerk_ids = [f"user_{number}" for number in range(60)]
    pages = [
        [
            profile(Source.API, T + n, clerk_id=clerk_id, first_name=f"{n}")
            for clerk_id in clerk_ids[:: 1 if n % 2 else -1]
        ]
        for n in range(8)
    ]
    work: list[Callable[[], object]] = [
        *(lambda page=page: sync_page(page, source="backfill") for page in pages),
        *(
            lambda clerk_id=clerk_id: sync_user(profile(clerk_id=clerk_id, first_name="Ada"))
            for clerk_id in clerk_ids
        ),
    ]
    list(threads.map(with_own_connections, work))
    rows = User.objects.live().values_list("clerk_id", "first_name")
    assert sorted(rows) == sorted(zip(clerk_ids, repeat("7")))


@pytest.mark.own_session
def test_dead_connection_is_replaced_outside_transactions() -> None:
    def kill() -> None:
        with psycopg.connect(address(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])

    counts = []

    def count() -> int:
        counts.append("started")
        return User.objects.count()

    def kill_and_count() -> int:
        with transaction.atomic():
            kill()
            return retry_on_dead_connection(count)

    sync_user(profile(first_name="Ada"))
    kill()
    assert retry_on_dead_connection(User.objects.count) == 1
    with pytest.raises(OperationalError):
        kill_and_count()
    assert counts == ["started"]
    assert retry_on_dead_connection(User.objects.count) == 1


def test_lock_timeout_is_five_seconds() -> None:
    with psycopg.connect(address()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("user_ada")])
        begin = monotonic()
        with pytest.raises(DatabaseError) as caught:
            sync_user(profile(first_name="Ada"))
    assert 4.9 < monotonic() - begin < 8
    assert failure_reason(caught.value) == "lock_timeout"
    # The timeout ended with the transaction.
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
