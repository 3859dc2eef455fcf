"""The code of docs/fields.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIRequestFactory

from accounts.clerk import fields
from accounts.models import User
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from devclerk.wire import user_object
from tests.docs.documents import ROOT, blocks, first_cells, section, words

DOCUMENT = ROOT / "docs/fields.md"
VIEW, DECLARATION = (block.text for block in blocks(DOCUMENT, language="python"))
(REMOVAL,) = (block.text for block in blocks(DOCUMENT, language="sql"))


@pytest.fixture
def plan(clerk: LocalClerk, clerk_settings: Settings) -> Callable[[ClerkUser], str]:
    """Return a function that requests the view of the document as a user."""
    (setting,) = re.findall(r"^CLERK_EXTRA_FIELDS=(.+)$", DOCUMENT.read_text(), re.MULTILINE)
    clerk_settings.CLERK_EXTRA_FIELDS = setting
    names: dict[str, Any] = {}
    exec(VIEW, names)  # noqa: S102 - the document's own code

    def request(user: ClerkUser) -> str:
        headers = {"Authorization": f"Bearer {clerk.mint(user)}"}
        return str(names["plan"](APIRequestFactory().get("/plan", headers=headers)).data["plan"])

    return request


def deliver(clerk: LocalClerk, user: ClerkUser) -> None:
    event = {"type": "user.updated", "data": user_object(user), "instance_id": clerk.instance_id}
    headers, body = clerk.sign_webhook(event)
    answer = Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200


@pytest.mark.django_db
def test_a_field_of_your_own_is_ten_lines(clerk: LocalClerk, plan: Callable[[ClerkUser], str]) -> None:
    assert len(VIEW.strip().splitlines()) == 10
    joan = clerk.new_person()
    assert plan(joan) == "free"
    joan = clerk.update(joan, public_metadata={"plan": "pro"})
    deliver(clerk, joan)
    assert plan(joan) == "pro"
    assert "extra__public_metadata__plan" in DOCUMENT.read_text()
    assert User.objects.get(extra__public_metadata__plan="pro").clerk_id == joan.id


@pytest.mark.postgresql
@pytest.mark.django_db
def test_removed_field_is_removed_from_the_rows(clerk: LocalClerk, plan: Callable[[ClerkUser], str]) -> None:
    joan = clerk.new_person(phone_number="+491701234567", public_metadata={"plan": "pro"})
    deliver(clerk, joan)
    with connection.cursor() as cursor:
        cursor.execute(REMOVAL)
    assert User.objects.get(clerk_id=joan.id).extra == {"public_metadata": {"plan": "pro"}}
    assert plan(joan) == "pro"


def test_one_line_declares_a_field_that_is_not_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (ROOT / "accounts/clerk/fields.py").read_text()
    opening, line = DECLARATION.splitlines(keepends=True)[:2]
    assert source.count(opening) == 1
    changed: Any = ModuleType("changed_fields")
    monkeypatch.setitem(sys.modules, "changed_fields", changed)  # dataclasses look their module up
    exec(source.replace(opening, opening + line), changed.__dict__)  # noqa: S102
    assert changed.parse_extra_fields(["external_id"]) == ("external_id",)
    assert changed.DECLARED["external_id"].read_from({"external_id": "42"}) == {"external_id": "42"}


def test_the_fields_listed_are_those_that_are_declared() -> None:
    listed = words("\n".join(first_cells(section(DOCUMENT, "Further fields of a user"))), form=r"[a-z_]+")
    assert listed - {"field"} == set(fields.EXTRA)
    assert words(section(DOCUMENT, "What is never stored"), form=r"[a-z]+_metadata") == set(fields.REFUSED)
    assert f"{fields.METADATA_MAX_BYTES // 1024} KB and {fields.METADATA_MAX_DEPTH} levels" in (
        DOCUMENT.read_text()
    )
