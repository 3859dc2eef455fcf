"""The webhook events in the admin."""

from __future__ import annotations

import html

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.webhooks.deliveries import deliver, envelope, outcome_of, user_data
from webhooks import ClerkEvent, on
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db
EVENTS = "/admin/webhooks/webhookevent/"


@pytest.fixture
def operator() -> Client:
    """A client that is signed in as a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser(username="operator", password="-"))
    return client


def test_events_are_listed_opened_and_filtered_by_outcome(operator: Client) -> None:
    outcome_of(envelope("user.created", user_data()))
    outcome_of(envelope("user.updated", {"id": None}))
    entry = WebhookEvent.objects.get(outcome="created")
    page = operator.get(EVENTS).content
    assert b"user.created" in page
    assert page.count(b"sortable column-") == page.count(b"sortable column-received_at") == 1
    assert operator.get(f"{EVENTS}{entry.pk}/change/").status_code == 200
    rejected = operator.get(EVENTS, {"outcome__exact": "rejected"})
    assert [event.outcome for event in rejected.context["cl"].queryset] == ["rejected"]


@pytest.mark.parametrize("term", ["user_1", "svix_id"])
def test_search_matches_exact_ids_only(operator: Client, term: str) -> None:
    outcome_of(envelope("user.created", user_data()))
    entry = WebhookEvent.objects.get()
    found = operator.get(EVENTS, {"q": entry.svix_id if term == "svix_id" else term})
    assert list(found.context["cl"].queryset) == [entry]
    assert not operator.get(EVENTS, {"q": "user_"}).context["cl"].queryset.exists()


@pytest.mark.parametrize(
    ("chosen", "shown"), [("user.created", {"user.created"}), ("other", {"session.created"})]
)
def test_events_are_filtered_by_type(operator: Client, chosen: str, shown: set[str]) -> None:
    for kind in ("user.created", "user.updated", "session.created"):
        outcome_of(envelope(kind, user_data()))
    found = operator.get(EVENTS, {"type": chosen}).context["cl"].queryset
    assert {event.type for event in found} == shown


def test_type_with_a_handler_is_a_choice_and_no_other_type(operator: Client) -> None:
    @on("organization.created")
    @on("user.created")
    def handle(event: ClerkEvent) -> None:
        pass

    for kind in ("organization.created", "organization.deleted", "user.created"):
        outcome_of(envelope(kind, user_data()))
    page = operator.get(EVENTS, {"type": "organization.created"})
    assert {event.type for event in page.context["cl"].queryset} == {"organization.created"}
    (spec,) = [one for one in page.context["cl"].filter_specs if one.title == "type"]
    assert [choice["display"] for choice in spec.choices(page.context["cl"])] == [
        *("all", "user.created", "user.updated", "user.deleted", "organization.created", "any other")
    ]
    others = operator.get(EVENTS, {"type": "other"}).context["cl"].queryset
    assert {event.type for event in others} == {"organization.deleted"}


def test_failed_handler_is_shown_and_found(operator: Client) -> None:
    @on("user.created")
    def fail(event: ClerkEvent) -> None:
        raise LookupError

    deliver(envelope("user.created", user_data()))
    outcome_of(envelope("user.updated", user_data()))
    name = WebhookEvent.objects.get(type="user.created").failed_handler
    assert name.endswith(".fail")
    page = operator.get(EVENTS, {"handler": "failed"})
    assert [event.type for event in page.context["cl"].queryset] == ["user.created"]
    assert html.escape(name) in page.content.decode()


@pytest.mark.parametrize("chosen", ["\0", "nonsense", ""])
def test_an_unknown_type_filters_nothing(operator: Client, chosen: str) -> None:
    outcome_of(envelope("user.created", user_data()))
    found = operator.get(EVENTS, {"type": chosen})
    assert found.status_code == 200
    assert found.context["cl"].queryset.count() == 1


def test_sync_again_without_a_user_is_a_message(operator: Client) -> None:
    outcome_of(envelope("session.created", {}))
    form = {"action": "sync_again", "_selected_action": [str(WebhookEvent.objects.get().pk)]}
    page = operator.post(EVENTS, form, follow=True).content.decode()
    assert "None of these events concerns a user." in page


def test_events_cannot_be_added_changed_or_deleted(operator: Client) -> None:
    outcome_of(envelope("user.created", user_data()))
    entry = WebhookEvent.objects.get()
    assert operator.get(f"{EVENTS}add/").status_code == 403
    assert operator.post(f"{EVENTS}{entry.pk}/change/", {"outcome": "failed"}).status_code == 403
    assert operator.post(f"{EVENTS}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    operator.post(EVENTS, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
    entry.refresh_from_db()
    assert entry.outcome == "created"


@pytest.mark.django_db(transaction=True)
def test_sync_again_fetches_the_user_of_a_failed_event(
    operator: Client, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    ada = clerk.person("ada")
    now = timezone.now()
    values = {"type": "user.created", "occurred_at": now, "received_at": now, "outcome": "failed"}
    entry = WebhookEvent.objects.create(svix_id="msg_1", clerk_id=ada.id, **values)
    form = {"action": "sync_again", "_selected_action": [str(entry.pk)]}
    page = operator.post(EVENTS, form, follow=True).content.decode()
    assert f"Fetched {ada.id} from Clerk: created." in page
    assert User.objects.get(clerk_id=ada.id).first_name == "Ada"


def test_sync_again_needs_the_permission_to_change_users() -> None:
    olaf = User.objects.create_user("olaf", is_staff=True)
    olaf.user_permissions.set(Permission.objects.filter(codename="view_webhookevent"))
    outcome_of(envelope("session.created", {}))
    client = Client()
    client.force_login(olaf)
    assert "sync_again" not in client.get(EVENTS).content.decode()
