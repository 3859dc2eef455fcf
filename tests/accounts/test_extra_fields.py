"""CLERK_EXTRA_FIELDS: fields in the column `extra`, by webhook, claim and command."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.bulk.refresh import refresh_user
from accounts.clerk.fields import EXTRA
from accounts.clerk.profiles import DEFAULT_CLAIMS
from accounts.conf import get_clerk_api
from accounts.models import User
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from devclerk.wire import user_object

pytestmark = pytest.mark.django_db
PHONE = "+491701234567"
FULL = {
    "username": "joan",
    "phone_number": PHONE,
    "locale": "en-GB",
    "timezone": "Europe/London",
    "public_metadata": {"plan": "pro", "limits": [1, 2.5, None, True]},
}
Me = Callable[..., Any]


@pytest.fixture(autouse=True)
def extra_settings(clerk_settings: Settings) -> Settings:
    """Store all further fields; claims feed the phone number and the metadata."""
    clerk_settings.CLERK_EXTRA_FIELDS = tuple(EXTRA)
    clerk_settings.CLERK_CLAIMS = (
        f"{DEFAULT_CLAIMS},phone_number=phone_number,public_metadata=public_metadata"
    )
    return clerk_settings


def deliver(clerk: LocalClerk, user: ClerkUser) -> str:
    """Deliver the event of a change; return the outcome."""
    event = {"type": "user.updated", "data": user_object(user), "instance_id": clerk.instance_id}
    headers, body = clerk.sign_webhook(event)
    answer = Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["outcome"])


def backfill() -> None:
    """Store all users of Clerk."""
    call_command("backfill_users", "--restart", verbosity=0)


def stored(user: ClerkUser) -> dict[str, Any]:
    """Return the column of the live row."""
    extra: dict[str, Any] = User.objects.live().get(clerk_id=user.id).extra
    return extra


def claims_of(user: ClerkUser) -> dict[str, Any]:
    """Return the claims of a session token that has the metadata."""
    return {"public_metadata": user.public_metadata}


def test_webhook_stores_all_fields(clerk: LocalClerk) -> None:
    assert set(FULL) == set(EXTRA)
    joan = clerk.new_person(**FULL)
    assert deliver(clerk, joan) == "created"
    assert stored(joan) == FULL
    versions = User.objects.get(clerk_id=joan.id).field_versions
    assert all(versions[name] == [joan.updated_at, 2] for name in FULL)


def test_backfill_creates_and_updates_rows_with_all_fields(clerk: LocalClerk) -> None:
    joan = clerk.new_person(**FULL)
    backfill()
    assert stored(joan) == FULL
    joan = clerk.update(joan, locale=None, public_metadata={})
    backfill()
    assert stored(joan) == FULL | {"locale": None, "public_metadata": {}}


def test_a_refresh_of_one_user_stores_all_fields(clerk: LocalClerk) -> None:
    joan = clerk.new_person(**FULL)
    refresh_user(get_clerk_api(), joan.id, clock=timezone.now)
    assert stored(joan) == FULL


def test_first_request_stores_the_fields_that_claims_feed(clerk: LocalClerk, me: Me) -> None:
    joan = clerk.new_person(**FULL)
    assert me(joan, claims=claims_of(joan)).status_code == 200
    assert stored(joan) == {"phone_number": PHONE, "public_metadata": FULL["public_metadata"]}


def test_a_field_that_clerk_cleared_is_null(clerk: LocalClerk) -> None:
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    joan = clerk.update(joan, phone_number_verified=False, username=None)
    assert deliver(clerk, joan) == "updated"
    assert stored(joan) == FULL | {"phone_number": None, "username": None}


@pytest.mark.parametrize("order", list(permutations(["webhook", "claim", "backfill"])))
def test_a_change_by_each_source_in_any_order_has_the_same_end(
    clerk: LocalClerk, me: Me, order: tuple[str, ...]
) -> None:
    old = clerk.new_person(**FULL)
    token = clerk.mint(old, claims=claims_of(old), age=5)
    new = clerk.update(old, username="grace", phone_number="+4930", public_metadata={"plan": "free"})
    steps: dict[str, Callable[[], Any]] = {
        "webhook": lambda: (deliver(clerk, new), deliver(clerk, old)),
        "claim": lambda: (me(token=token), me(new, claims=claims_of(new))),
        "backfill": backfill,
    }
    for step in order:
        steps[step]()
    changed = {"username": "grace", "phone_number": "+4930", "public_metadata": {"plan": "free"}}
    assert stored(new) == FULL | changed


def test_warm_request_reads_the_column_in_its_one_statement(clerk: LocalClerk, me: Me) -> None:
    joan = clerk.new_person(**FULL)
    token = clerk.mint(joan, claims=claims_of(joan))
    me(token=token)
    with CaptureQueriesContext(connection) as statements:
        assert me(token=token).status_code == 200
    assert len(statements) == 1
    assert '"extra"' in statements[0]["sql"]


@pytest.mark.parametrize("claims", [{}, {"username": "grace", "locale": "fr"}])
def test_warm_request_does_not_read_the_column_without_a_claim_that_feeds_it(
    clerk: LocalClerk, me: Me, claims: dict[str, Any]
) -> None:
    joan = clerk.new_person(public_metadata={"plan": "pro"}, username="joan", locale="en")
    deliver(clerk, joan)
    token = clerk.mint(joan, claims=claims)
    with CaptureQueriesContext(connection) as statements:
        assert me(token=token).status_code == 200
    assert len(statements) == 1
    assert '"extra"' not in statements[0]["sql"]
    assert stored(joan)["username"] == "joan"


def test_older_claims_cost_one_more_statement_and_write_nothing(clerk: LocalClerk, me: Me) -> None:
    joan = clerk.new_person(public_metadata={"plan": "pro"})
    token = clerk.mint(joan, claims=claims_of(joan), age=5)
    new = clerk.update(joan, public_metadata={"plan": "free"})
    deliver(clerk, new)
    with CaptureQueriesContext(connection) as statements:
        assert me(token=token).status_code == 200
    assert [each["sql"][:6] for each in statements] == ["SELECT", "SELECT"]
    assert stored(new)["public_metadata"] == {"plan": "free"}


def test_changed_claim_is_written(clerk: LocalClerk, me: Me) -> None:
    joan = clerk.new_person(public_metadata={"n": 1})
    deliver(clerk, joan)
    me(joan, claims={"public_metadata": {"n": True}}, now=timezone.now().timestamp() + 2)
    assert stored(joan)["public_metadata"]["n"] is True


def test_me_and_the_list_show_no_further_field(clerk: LocalClerk, me: Me) -> None:
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    own = me(joan).json()
    assert set(own) == {
        *("id", "clerk_id", "email", "email_verified", "first_name", "last_name", "image_url"),
        *("created_at", "updated_at"),
    }
    User.objects.filter(clerk_id=joan.id).update(is_staff=True)
    listed = Client(headers={"Authorization": f"Bearer {clerk.mint(joan)}"}).get("/api/v1/users")
    assert PHONE not in listed.content.decode()


def test_row_keeps_a_field_that_the_setting_names_no_more(
    clerk: LocalClerk, me: Me, extra_settings: Settings
) -> None:
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    extra_settings.CLERK_CLAIMS = DEFAULT_CLAIMS
    extra_settings.CLERK_EXTRA_FIELDS = ("locale",)
    joan = clerk.update(joan, username="grace", locale="fr")
    assert deliver(clerk, joan) == "updated"
    assert stored(joan) == FULL | {"locale": "fr"}
    extra_settings.CLERK_EXTRA_FIELDS = ()
    joan = clerk.update(joan, username="alan", locale="de", first_name="Joanna")
    assert deliver(clerk, joan) == "updated"
    backfill()
    assert me(joan).status_code == 200
    assert stored(joan) == FULL | {"locale": "fr"}
    extra_settings.CLERK_EXTRA_FIELDS = ("locale", "username")
    backfill()
    assert stored(joan) == FULL | {"locale": "de", "username": "alan"}


def test_setting_that_is_new_is_filled_for_rows_that_are_up_to_date(
    clerk: LocalClerk, extra_settings: Settings
) -> None:
    extra_settings.CLERK_CLAIMS = DEFAULT_CLAIMS
    extra_settings.CLERK_EXTRA_FIELDS = ()
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    assert stored(joan) == {}
    extra_settings.CLERK_EXTRA_FIELDS = ("timezone",)
    backfill()
    assert stored(joan) == {"timezone": "Europe/London"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x" * 20_000},
        {"a": "b\x00"},
        {"a\ud800": 1},
        {"a": float("nan")},
        {"a": float("inf")},
        "text",
        7,
        [1],
    ],
)
def test_metadata_that_cannot_be_stored_is_recorded_and_the_rest_applies(
    clerk: LocalClerk, failures: list[dict[str, Any]], metadata: Any
) -> None:
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    joan = clerk.update(joan, locale="fr", raw={"public_metadata": metadata})
    assert deliver(clerk, joan) == "updated"
    assert stored(joan) == FULL | {"locale": "fr"}
    assert [each["reason"] for each in failures] == ["unusable_field:public_metadata"]


@pytest.mark.django_db(transaction=True)
def test_metadata_of_a_claim_that_cannot_be_stored_does_not_stop_the_request(
    clerk: LocalClerk, me: Me, failures: list[dict[str, Any]]
) -> None:
    joan = clerk.new_person(first_name="Joan")
    for _ in range(2):
        answer = me(joan, claims={"public_metadata": {"a": "b\x00"}})
        assert (answer.status_code, answer.json()["first_name"]) == (200, "Joan")
    assert [each["reason"] for each in failures] == ["unusable_field:public_metadata"] * 2


def test_numbers_that_a_json_column_writes_in_another_way_are_equal_at_the_next_request(
    clerk: LocalClerk, me: Me
) -> None:
    metadata = {"a": 1e22, "b": 2.0, "c": 1e-7, "d": 1.10, "e": -0.0, "f": 10**40, "g": 5e-324, "h": 1.5e300}
    joan = clerk.new_person()
    token = clerk.mint(joan, claims={"public_metadata": metadata})
    me(token=token)
    with CaptureQueriesContext(connection) as statements:
        assert me(token=token).status_code == 200
    assert len(statements) == 1


def test_a_view_that_saves_the_user_writes_no_old_value_back(clerk: LocalClerk) -> None:
    joan = clerk.new_person(**FULL)
    deliver(clerk, joan)
    row = User.objects.get(clerk_id=joan.id)
    joan = clerk.update(joan, locale="fr")
    deliver(clerk, joan)
    row.save()
    assert stored(joan)["locale"] == "fr"
