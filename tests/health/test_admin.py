"""The sync failures in the admin, and the page "Sync health today"."""

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
FAILURES = "/admin/health/syncfailure/"
EVENTS = "/admin/webhooks/webhookevent/"


def sign_in_staff(*permissions: str, username: str = "helga") -> Client:
    user = User.objects.create(username=username, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def sync_again_address(failure: SyncFailure) -> str:
    return f"{FAILURES}{failure.pk}/sync-again/"


@pytest.fixture
def failure() -> SyncFailure:
    now = timezone.now()
    broken = failures("user_a", at=now, source="backfill", reason="unexpected_error")
    SyncFailure.objects.record([broken], now=now)
    return SyncFailure.objects.get()


def test_today_shows_status_and_open_failures(failure: SyncFailure) -> None:
    page = sign_in_staff("view_syncfailure", "change_user").get(TODAY).content.decode()
    assert "The sync is degraded." in page
    assert "user_a" in page
    assert "Sync again" in page


def test_today_links_to_events_with_their_permission() -> None:
    event("user_failed", at=timezone.now(), outcome=EventOutcome.FAILED)
    event("user_updated", at=timezone.now())
    client = sign_in_staff("view_syncfailure")
    assert EVENTS not in client.get(TODAY).content.decode()
    client = sign_in_staff("view_syncfailure", "view_webhookevent", username="olaf")
    page = client.get(TODAY).content.decode()
    assert f'<a href="{EVENTS}?outcome__exact=rejected">' in page
    assert f'<a href="{EVENTS}?outcome__exact=failed">' in page
    failed = client.get(f"{EVENTS}?outcome__exact=failed").content.decode()
    assert "user_failed" in failed
    assert "user_updated" not in failed


def test_today_loads_nothing_from_other_sites(failure: SyncFailure) -> None:
    page = sign_in_staff("view_syncfailure").get(TODAY).content.decode()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.postgresql
def test_today_needs_the_database_and_works_after_its_outage(away: Away) -> None:
    client = sign_in_staff("view_syncfailure")
    client.raise_request_exception = False
    with away():
        assert client.get(TODAY).status_code >= 500
    assert client.get(TODAY).status_code == 200


def test_anonymous_users_are_redirected_to_the_login(client: Client) -> None:
    response = client.get(TODAY)
    assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/")


def test_today_needs_the_permission_to_view_failures() -> None:
    assert sign_in_staff().get(TODAY).status_code == 403


def test_sync_again_needs_the_permission_to_change_users(failure: SyncFailure) -> None:
    client = sign_in_staff("view_syncfailure")
    assert "Sync again" not in client.get(TODAY).content.decode()
    assert client.post(sync_again_address(failure)).status_code == 403
    assert "sync_again" not in client.get(FAILURES).content.decode()


def test_closed_failures_are_shown_by_the_filter_only(failure: SyncFailure) -> None:
    client = sign_in_staff("view_syncfailure")
    SyncFailure.objects.close_for(["user_a"], at=timezone.now())
    assert "user_a" not in client.get(FAILURES).content.decode()
    assert "user_a" in client.get(FAILURES, {"state": "closed"}).content.decode()
    assert "user_a" in client.get(FAILURES, {"state": "all"}).content.decode()


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_failures_cannot_be_added_or_deleted(failure: SyncFailure, path: str) -> None:
    user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    assert client.get(FAILURES + path.format(pk=failure.pk)).status_code == 403


def test_sync_again_without_a_secret_key_names_the_setting(failure: SyncFailure, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY = ""
    client = sign_in_staff("view_syncfailure", "change_user")
    page = client.post(sync_again_address(failure), follow=True).content.decode()
    assert "CLERK_SECRET_KEY" in page
    assert SyncFailure.objects.open().exists()


def test_sync_again_of_an_outage_is_a_message(settings: Settings) -> None:
    now = timezone.now()
    SyncFailure.objects.record([failures(at=now)], now=now)
    client = sign_in_staff("view_syncfailure", "change_user")
    page: Any = client.post(sync_again_address(SyncFailure.objects.get()), follow=True)
    assert "closes by itself" in page.content.decode()
    assert not LogEntry.objects.exists()
