"""docs/handlers.md: its example ends with the right rows, in any order of events and with doubles."""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections
from pytest_django import Settings

from tests.docs.documents import ROOT, blocks
from tests.webhooks.deliveries import SECRET, deliver, envelope, next_id, now, outcome_of
from tests.webhooks.handler_cases import temporary_handlers

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = ROOT / "docs" / "handlers.md"
START = now() - 3_600_000
Event = dict[str, object]


@pytest.fixture
def memberships(tmp_path: Path, settings: Settings) -> Iterator[Any]:
    """Install the app of the page, and return its model."""
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    (tmp_path / "memberships").mkdir()
    (tmp_path / "memberships" / "__init__.py").touch()
    for block in blocks(PAGE, language="python"):
        name, text = block.text.removeprefix("# ").split("\n", 1)
        (tmp_path / name).write_text(text)
    sys.path.insert(0, str(tmp_path))
    try:
        with temporary_handlers():
            # As at start, this imports the models, and `clerk_events` after them.
            settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "memberships"]
            model = apps.get_app_config("memberships").get_model("Membership")
            with connection.schema_editor() as editor:
                editor.create_model(model)
            yield model
            with connection.schema_editor() as editor:
                editor.delete_model(model)
    finally:
        sys.path.remove(str(tmp_path))
        apps.all_models.pop("memberships", None)
        for name in [name for name in sys.modules if name.partition(".")[0] == "memberships"]:
            del sys.modules[name]


def membership(action: str, *, minute: int, role: str = "org:member") -> Event:
    """Return an event about the membership, as Clerk sends it."""
    at = START + minute * 60_000
    data = {
        "id": "orgmem_1",
        "object": "organization_membership",
        "role": role,
        "created_at": START,
        "updated_at": at,
        "organization": {"id": "org_1", "object": "organization", "name": "Acme", "slug": "acme"},
        "public_user_data": {"user_id": "user_1", "identifier": "ada@example.test"},
    }
    return envelope(f"organizationMembership.{action}", data, at=at)


CREATED = membership("created", minute=0)
ADMIN = membership("updated", minute=1, role="org:admin")
BILLING = membership("updated", minute=2, role="org:billing")
DELETED = membership("deleted", minute=3)


@pytest.mark.parametrize(
    ("events", "role"),
    [
        *((order, "org:billing") for order in itertools.permutations((CREATED, ADMIN, BILLING))),
        *((order, None) for order in itertools.permutations((CREATED, BILLING, DELETED))),
    ],
)
def test_any_order_with_doubles_ends_in_the_newest_role(
    events: tuple[Event, ...], role: str | None, memberships: Any
) -> None:
    history = [(event, next_id()) for event in events]
    for event, svix_id in [*history, *history]:
        outcome_of(event, svix_id=svix_id)
    row = memberships.objects.get()
    assert (row.clerk_id, row.organization_id, row.user_clerk_id) == ("orgmem_1", "org_1", "user_1")
    assert row.ended is (role is None)
    if role:
        assert row.role == role


@pytest.mark.postgresql
@pytest.mark.parametrize("seed", range(3))
def test_parallel_deliveries_end_in_the_newest_role(seed: int, memberships: Any) -> None:
    def send(delivery: tuple[Event, str]) -> int:
        event, svix_id = delivery
        try:
            # On a busy machine a delivery may not get its turn. Svix delivers it again.
            while (status := deliver(event, svix_id=svix_id).status_code) == 503:
                time.sleep(0.1)
            return status
        finally:
            connections.close_all()

    later = (membership("updated", minute=minute, role=f"org:role_{minute}") for minute in range(2, 12))
    history = [(event, next_id()) for event in (CREATED, *later)]
    doubles = random.Random(seed).sample(history * 2, 2 * len(history))  # noqa: S311 - repeatable, not secret
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, doubles)) == {200}
    row = memberships.objects.get()
    assert (row.role, row.ended) == ("org:role_11", False)


def test_the_page_says_what_is_answered(memberships: Any) -> None:
    svix_id = next_id()
    assert outcome_of(CREATED, svix_id=svix_id) == "handled"
    assert outcome_of(CREATED, svix_id=svix_id) == "duplicate"
    assert outcome_of(envelope("organization.created", {"id": "org_1"})) == "ignored"
