"""What observers of the sync hear, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.dispatch import Signal

from accounts.bulk.page_sync import sync_page
from accounts.clerk.profiles import Source
from accounts.models import User
from accounts.signals import page_synced, sync_failed, user_synced
from accounts.sync import Outcome, delete_user, sync_user
from tests.accounts.profiles import T, profile

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source
News = list[dict[str, Any]]


@pytest.fixture
def heard() -> Any:
    """Collect the news of the signals in the order in which they come."""
    news: News = []

    def listen(sender: object, signal: Signal, **facts: Any) -> None:
        news.append(facts)

    for signal in (user_synced, page_synced, sync_failed):
        signal.connect(listen)
    yield news
    for signal in (user_synced, page_synced, sync_failed):
        signal.disconnect(listen)


@pytest.mark.parametrize(
    ("source", "name"),
    [(WEBHOOK, "webhook"), (API, "api")],
    ids=["webhook", "api"],
)
def test_observers_hear_of_a_deletion_by_the_name_of_its_source(
    heard: News, source: Source, name: str
) -> None:
    delete_user("user_ada", at=T, source=source)
    assert heard == [{"clerk_id": "user_ada", "source": name, "outcome": Outcome.DELETED}]


def test_observers_hear_of_a_page_at_once_and_of_its_troubles_after_that(heard: News) -> None:
    sync_page([profile(API, first_name="Ada", unusable=("email",))], source="backfill")
    assert heard == [
        {"source": "backfill", "outcomes": {"user_ada": Outcome.CREATED}},
        {"clerk_id": "user_ada", "source": "backfill", "reason": "unusable_field:email"},
    ]


def test_observers_hear_nothing_of_a_dry_run(heard: News) -> None:
    sync_page([profile(API, first_name="Ada", unusable=("email",))], source="backfill", dry_run=True)
    assert heard == []


def test_whoever_asked_may_be_named(heard: News) -> None:
    sync_user(profile(API, first_name="Ada", unusable=("email",)), source="backfill")
    assert [news["source"] for news in heard] == ["backfill", "backfill"]


@pytest.mark.parametrize(
    ("source", "name"),
    [(CLAIMS, "request"), (WEBHOOK, "webhook"), (API, "api")],
    ids=["claims", "webhook", "api"],
)
def test_observers_hear_who_how_and_what_was_left_out(heard: News, source: Source, name: str) -> None:
    sync_user(profile(source, first_name="Ada", unusable=("email",)))
    assert heard == [
        {"clerk_id": "user_ada", "source": name, "outcome": Outcome.CREATED},
        {"clerk_id": "user_ada", "source": name, "reason": "unusable_field:email"},
    ]


@pytest.mark.parametrize(
    "act", [lambda: sync_user(profile(CLAIMS, first_name="Ada")), lambda: delete_user("user_ada", at=T)]
)
def test_news_waits_for_the_end_of_the_transaction(heard: News, act: Callable[[], object]) -> None:
    with transaction.atomic():
        act()
        assert heard == []
    assert len(heard) == 1


def test_the_news_comes_from_the_people() -> None:
    senders: list[object] = []

    def listen(sender: object, **_: object) -> None:
        senders.append(sender)

    for signal in (user_synced, sync_failed):
        signal.connect(listen)
    try:
        sync_user(profile(CLAIMS, first_name="Ada", unusable=("email",)))
    finally:
        for signal in (user_synced, sync_failed):
            signal.disconnect(listen)
    assert senders == [User, User]


def test_there_is_no_news_of_what_was_rolled_back(heard: News) -> None:
    with transaction.atomic():
        sync_user(profile(CLAIMS, first_name="Ada"))
        transaction.set_rollback(True)
    assert heard == []
    assert not User.objects.exists()


def test_an_observer_that_breaks_does_no_harm() -> None:
    def broken(**_: object) -> None:
        raise RuntimeError

    user_synced.connect(broken)
    try:
        assert sync_user(profile(CLAIMS, first_name="Ada")).outcome == Outcome.CREATED
    finally:
        user_synced.disconnect(broken)
