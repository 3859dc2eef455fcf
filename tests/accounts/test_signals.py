"""The signals of the sync: their arguments and their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from accounts.bulk.page_sync import sync_page
from accounts.clerk.profiles import Source
from accounts.models import User
from accounts.signals import page_synced, sync_failed, user_synced
from accounts.sync import Outcome, delete_user, sync_user
from tests.accounts.profiles import T, profile
from tests.accounts.receivers import received

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source
Calls = list[dict[str, Any]]


@pytest.fixture
def calls() -> Iterator[Calls]:
    with received(user_synced, page_synced, sync_failed) as calls:
        yield calls


@pytest.mark.parametrize(
    ("source", "name"),
    [(WEBHOOK, "webhook"), (API, "api")],
    ids=["webhook", "api"],
)
def test_deletion_is_sent_with_its_source(calls: Calls, source: Source, name: str) -> None:
    delete_user("user_ada", at=T, source=source)
    assert calls == [{"clerk_id": "user_ada", "source": name, "outcome": Outcome.DELETED}]


def test_page_is_sent_before_its_failures(calls: Calls) -> None:
    sync_page([profile(API, first_name="Ada", unusable=("email",))], source="backfill")
    assert calls == [
        {"source": "backfill", "outcomes": {"user_ada": Outcome.CREATED}},
        {"clerk_id": "user_ada", "source": "backfill", "reason": "unusable_field:email"},
    ]


def test_dry_run_sends_nothing(calls: Calls) -> None:
    sync_page([profile(API, first_name="Ada", unusable=("email",))], source="backfill", dry_run=True)
    assert calls == []


def test_caller_may_name_the_source(calls: Calls) -> None:
    sync_user(profile(API, first_name="Ada", unusable=("email",)), source="backfill")
    assert [call["source"] for call in calls] == ["backfill", "backfill"]


@pytest.mark.parametrize(
    ("source", "name"),
    [(CLAIMS, "request"), (WEBHOOK, "webhook"), (API, "api")],
    ids=["claims", "webhook", "api"],
)
def test_sync_is_sent_with_its_unusable_fields(calls: Calls, source: Source, name: str) -> None:
    sync_user(profile(source, first_name="Ada", unusable=("email",)))
    assert calls == [
        {"clerk_id": "user_ada", "source": name, "outcome": Outcome.CREATED},
        {"clerk_id": "user_ada", "source": name, "reason": "unusable_field:email"},
    ]


@pytest.mark.parametrize(
    "act", [lambda: sync_user(profile(CLAIMS, first_name="Ada")), lambda: delete_user("user_ada", at=T)]
)
def test_signals_wait_for_the_commit(calls: Calls, act: Callable[[], object]) -> None:
    with transaction.atomic():
        act()
        assert calls == []
    assert len(calls) == 1


def test_sender_is_the_user_model() -> None:
    senders: list[object] = []

    def receive(sender: object, **_: object) -> None:
        senders.append(sender)

    for signal in (user_synced, sync_failed):
        signal.connect(receive)
    try:
        sync_user(profile(CLAIMS, first_name="Ada", unusable=("email",)))
    finally:
        for signal in (user_synced, sync_failed):
            signal.disconnect(receive)
    assert senders == [User, User]


def test_rolled_back_sync_sends_nothing(calls: Calls) -> None:
    with transaction.atomic():
        sync_user(profile(CLAIMS, first_name="Ada"))
        transaction.set_rollback(True)
    assert calls == []
    assert not User.objects.exists()


def test_receiver_that_raises_has_no_effect() -> None:
    def broken(**_: object) -> None:
        raise RuntimeError

    user_synced.connect(broken)
    try:
        assert sync_user(profile(CLAIMS, first_name="Ada")).outcome == Outcome.CREATED
    finally:
        user_synced.disconnect(broken)
