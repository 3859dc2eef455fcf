"""These tests run inside the project of the installation page, with the installed wheel."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

pytestmark = pytest.mark.django_db
LABELS = {"clerk_accounts", "clerk_webhooks", "clerk_health"}


@pytest.fixture
def operator(client: Client) -> Client:
    """Return a client of the admin."""
    client.force_login(User.objects.create_superuser("root", "root@example.com", "a password"))
    return client


def test_a_first_request_creates_the_user(clerk: Any, clerk_settings: Any, client: Client) -> None:
    response = client.get("/whoami", headers={"Authorization": f"Bearer {clerk.mint('ada')}"})

    user = User.objects.get()
    assert (response.status_code, response.json()["user"]) == (200, user.pk)
    assert user.clerk_account.clerk_id.startswith("user_")  # type: ignore[attr-defined]


def test_a_signed_webhook_is_answered(clerk: Any, clerk_settings: Any, client: Client) -> None:
    event = {"type": "session.created", "object": "event", "instance_id": clerk.instance_id, "data": {}}
    headers, body = clerk.sign_webhook(event | {"timestamp": int(time.time() * 1000)})
    response = client.post("/webhooks/clerk", body, content_type="application/json", headers=headers)

    assert (response.status_code, response.json()) == (200, {"outcome": "ignored"})


def test_health_is_reported(clerk: Any, clerk_settings: Any, client: Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/sync").json()["status"] in {"ok", "degraded"}


def test_tables_and_labels_begin_with_clerk() -> None:
    tables = set(connection.introspection.table_names())

    assert {each.label for each in apps.get_app_configs()} >= LABELS | {"accounts", "api"}
    assert {name for name in tables if name.startswith(("accounts_", "webhooks_", "health_", "clerk_"))} == {
        "clerk_accounts_clerkaccount",
        "clerk_accounts_syncrun",
        "clerk_webhooks_webhookevent",
        "clerk_health_syncfailure",
    }


@pytest.mark.parametrize(
    "address",
    [
        "clerk_accounts/clerkaccount/",
        "clerk_accounts/syncrun/",
        "clerk_webhooks/webhookevent/",
        "clerk_health/syncfailure/",
        "clerk_health/syncfailure/today/",
    ],
)
def test_the_admin_shows_its_pages(operator: Client, address: str) -> None:
    assert operator.get(f"/admin/{address}").status_code == 200
