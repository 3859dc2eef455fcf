from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.webhooks.deliveries import envelope, outcome_of, user_data
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db
LEDGER = "/admin/webhooks/webhookevent/"


@pytest.fixture
def operator() -> Client:
    """A browser of somebody who may do everything in the admin."""
    client = Client()
    client.force_login(User.objects.create_superuser(username="operator", password="-"))
    return client


def test_the_ledger_can_be_looked_through(operator: Client) -> None:
    outcome_of(envelope("user.created", user_data()))
    outcome_of(envelope("user.updated", {"id": None}))
    entry = WebhookEvent.objects.get(outcome="created")
    page = operator.get(LEDGER).content
    assert b"user.created" in page
    assert page.count(b"sortable column-") == page.count(b"sortable column-received_at") == 1
    assert operator.get(f"{LEDGER}{entry.pk}/change/").status_code == 200
    rejected = operator.get(LEDGER, {"outcome__exact": "rejected"})
    assert [event.outcome for event in rejected.context["cl"].queryset] == ["rejected"]


@pytest.mark.parametrize("term", ["user_1", "svix_id"])
def test_an_event_is_found_by_its_exact_ids(operator: Client, term: str) -> None:
    outcome_of(envelope("user.created", user_data()))
    entry = WebhookEvent.objects.get()
    found = operator.get(LEDGER, {"q": entry.svix_id if term == "svix_id" else term})
    assert list(found.context["cl"].queryset) == [entry]
    assert not operator.get(LEDGER, {"q": "user_"}).context["cl"].queryset.exists()


@pytest.mark.parametrize(
    ("chosen", "shown"), [("user.created", {"user.created"}), ("other", {"session.created"})]
)
def test_events_are_filtered_by_what_they_do_here(operator: Client, chosen: str, shown: set[str]) -> None:
    for kind in ("user.created", "user.updated", "session.created"):
        outcome_of(envelope(kind, user_data()))
    found = operator.get(LEDGER, {"type": chosen}).context["cl"].queryset
    assert {event.type for event in found} == shown


@pytest.mark.parametrize("chosen", ["\0", "nonsense", ""])
def test_a_filter_that_was_not_offered_filters_nothing(operator: Client, chosen: str) -> None:
    outcome_of(envelope("user.created", user_data()))
    found = operator.get(LEDGER, {"type": chosen})
    assert found.status_code == 200
    assert found.context["cl"].queryset.count() == 1


def test_the_links_lead_through_years_months_and_days(operator: Client) -> None:
    for number, day in enumerate(
        ["2025-12-31T23:30", "2026-01-01T00:00", "2026-02-28T01:00", "2026-03-01T05:00"]
    ):
        at = datetime.fromisoformat(f"{day}+00:00")
        WebhookEvent.objects.create(
            svix_id=f"msg_{number}", type="user.created", occurred_at=at, received_at=at, outcome="created"
        )
    ledger = operator.get(LEDGER).context["cl"].queryset
    only: dict[str, dict[str, Any]] = {
        "year": {},
        "month": {"received_at__year": 2026},
        "day": {"received_at__gte": datetime(2026, 2, 27, tzinfo=UTC)},
    }
    starts = {
        kind: [f"{start:%Y-%m-%d}" for start in ledger.filter(**words).datetimes("received_at", kind)]
        for kind, words in only.items()
    }
    assert starts == {
        "year": ["2025-01-01", "2026-01-01"],
        "month": ["2026-01-01", "2026-02-01", "2026-03-01"],
        "day": ["2026-02-28", "2026-03-01"],
    }
    page = operator.get(LEDGER, {"received_at__year": "2026", "received_at__month": "2"}).content.decode()
    assert "?received_at__day=28" in page


def test_an_empty_ledger_has_no_dates(operator: Client) -> None:
    assert operator.get(LEDGER).status_code == 200


def test_events_about_nobody_have_nobody_to_fetch(operator: Client) -> None:
    outcome_of(envelope("session.created", {}))
    words = {"action": "sync_again", "_selected_action": [str(WebhookEvent.objects.get().pk)]}
    assert (
        "None of these events is about a person."
        in operator.post(LEDGER, words, follow=True).content.decode()
    )


def test_nothing_can_be_added_changed_or_deleted(operator: Client) -> None:
    outcome_of(envelope("user.created", user_data()))
    entry = WebhookEvent.objects.get()
    assert operator.get(f"{LEDGER}add/").status_code == 403
    assert operator.post(f"{LEDGER}{entry.pk}/change/", {"outcome": "failed"}).status_code == 403
    assert operator.post(f"{LEDGER}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    operator.post(LEDGER, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
    entry.refresh_from_db()
    assert entry.outcome == "created"


@pytest.mark.django_db(transaction=True)
def test_a_person_of_a_failed_event_can_be_fetched_again(
    operator: Client, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    ada = clerk.person("ada")
    now = timezone.now()
    facts = {"type": "user.created", "occurred_at": now, "received_at": now, "outcome": "failed"}
    entry = WebhookEvent.objects.create(svix_id="msg_1", clerk_id=ada.id, **facts)
    words = {"action": "sync_again", "_selected_action": [str(entry.pk)]}
    page = operator.post(LEDGER, words, follow=True).content.decode()
    assert f"Fetched {ada.id} from Clerk: created." in page
    assert User.objects.get(clerk_id=ada.id).first_name == "Ada"


def test_staff_who_may_change_nobody_are_not_offered_to_fetch() -> None:
    olaf = User.objects.create_user("olaf", is_staff=True)
    olaf.user_permissions.set(Permission.objects.filter(codename="view_webhookevent"))
    outcome_of(envelope("session.created", {}))
    client = Client()
    client.force_login(olaf)
    assert "sync_again" not in client.get(LEDGER).content.decode()
