from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from health.models import SyncFailure
from tests.health.conftest import Away
from tests.health.rows import event, failures
from webhooks.models import EventOutcome

pytestmark = pytest.mark.django_db(transaction=True)
TODAY = "/admin/health/syncfailure/today/"
LIST = "/admin/health/syncfailure/"
LEDGER = "/admin/webhooks/webhookevent/"


def staff(*permissions: str, username: str = "helga") -> Client:
    user = User.objects.create(username=username, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def again(failure: SyncFailure) -> str:
    return f"{LIST}{failure.pk}/sync-again/"


@pytest.fixture
def failure() -> SyncFailure:
    now = timezone.now()
    SyncFailure.objects.record([failures("user_a", at=now, reason="unusable_field:email")], now=now)
    return SyncFailure.objects.get()


def test_the_page_of_the_day_shows_status_and_open_failures(failure: SyncFailure) -> None:
    page = staff("view_syncfailure", "change_user").get(TODAY).content.decode()
    assert "The sync is degraded." in page
    assert "user_a" in page
    assert "Sync again" in page


def test_the_page_of_the_day_links_to_failed_and_rejected_events_with_their_permission() -> None:
    event("user_failed", at=timezone.now(), outcome=EventOutcome.FAILED)
    event("user_updated", at=timezone.now())
    client = staff("view_syncfailure")
    assert LEDGER not in client.get(TODAY).content.decode()
    client = staff("view_syncfailure", "view_webhookevent", username="olaf")
    page = client.get(TODAY).content.decode()
    assert f'<a href="{LEDGER}?outcome__exact=rejected">' in page
    assert f'<a href="{LEDGER}?outcome__exact=failed">' in page
    failed = client.get(f"{LEDGER}?outcome__exact=failed").content.decode()
    assert "user_failed" in failed
    assert "user_updated" not in failed


def test_the_page_loads_nothing_from_elsewhere(failure: SyncFailure) -> None:
    page = staff("view_syncfailure").get(TODAY).content.decode()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.postgresql
def test_without_the_database_the_page_cannot_be_had_and_nothing_else_breaks(away: Away) -> None:
    client = staff("view_syncfailure")
    client.raise_request_exception = False
    with away():
        assert client.get(TODAY).status_code >= 500
    assert client.get(TODAY).status_code == 200


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    answer = client.get(TODAY)
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def test_staff_without_the_permission_see_nothing() -> None:
    assert staff().get(TODAY).status_code == 403


def test_staff_who_may_only_look_see_no_action_and_cannot_use_it(failure: SyncFailure) -> None:
    client = staff("view_syncfailure")
    assert "Sync again" not in client.get(TODAY).content.decode()
    assert client.post(again(failure)).status_code == 403
    assert "sync_again" not in client.get(LIST).content.decode()


def test_the_list_shows_open_failures_and_the_closed_by_a_filter(failure: SyncFailure) -> None:
    client = staff("view_syncfailure")
    SyncFailure.objects.close_for(["user_a"], at=timezone.now())
    assert "user_a" not in client.get(LIST).content.decode()
    assert "user_a" in client.get(LIST, {"state": "closed"}).content.decode()
    assert "user_a" in client.get(LIST, {"state": "all"}).content.decode()


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_nobody_adds_or_deletes_a_failure_by_hand(failure: SyncFailure, path: str) -> None:
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    assert client.get(LIST + path.format(pk=failure.pk)).status_code == 403


def test_without_a_secret_key_sync_again_says_what_is_missing(
    failure: SyncFailure, settings: Settings
) -> None:
    settings.CLERK_SECRET_KEY = ""
    client = staff("view_syncfailure", "change_user")
    page = client.post(again(failure), follow=True).content.decode()
    assert "CLERK_SECRET_KEY" in page
    assert SyncFailure.objects.open().exists()


def test_an_outage_has_nobody_to_sync_again(settings: Settings) -> None:
    now = timezone.now()
    SyncFailure.objects.record([failures(at=now)], now=now)
    client = staff("view_syncfailure", "change_user")
    page: Any = client.post(again(SyncFailure.objects.get()), follow=True)
    assert "closes by itself" in page.content.decode()
    assert not LogEntry.objects.exists()
