"""docs/personal-data.md: the register lists every column of every table, and erases what it says."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session

from accounts.audit import SecurityEvent
from accounts.bulk.scrub import EMPTY, NO_RIGHTS
from accounts.models import ClerkAccount, SyncRun, User
from health.models import SyncFailure
from tests.docs.documents import ROOT, rows_of_table, section
from tests.docs.names import PACKAGES
from webhooks.models import WebhookEvent

PERSONAL_DATA, OPERATIONS = ROOT / "docs/personal-data.md", ROOT / "docs/operations.md"
# The heading of each table of the register, or its first cell.
TABLES = {
    "### The users of a clone": User,
    "### Accounts beside another user model": ClerkAccount,
    "column of `webhooks.WebhookEvent`": WebhookEvent,
    "column of `health.SyncFailure`": SyncFailure,
    "column of `accounts.SyncRun`": SyncRun,
    "column of `admin.LogEntry`": LogEntry,
    "column of `sessions.Session`": Session,
}
ERASED_BESIDE = {"username", "password", "groups", "user_permissions"}


def rows(start: str) -> list[list[str]]:
    """Return the rows of the table that follows this text."""
    table = PERSONAL_DATA.read_text().partition(start)[2].partition("| column")[2] if start[0] == "#" else ""
    table = table or PERSONAL_DATA.read_text().partition(f"| {start}")[2]
    return rows_of_table("| column" + table.partition("\n\n")[0])[1:]


def columns(model: Any) -> set[str]:
    return {field.name for field in (*model._meta.concrete_fields, *model._meta.many_to_many)}


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("start", TABLES)
def test_register_lists_each_column_once(start: str) -> None:
    listed = Counter(name for row in rows(start) for name in names(row[0]))

    assert listed == Counter(columns(TABLES[start]))


def test_register_has_each_model_of_the_packages() -> None:
    ours = {model for model in apps.get_models(include_swapped=True) if model._meta.app_label in PACKAGES}

    assert ours <= set(TABLES.values())


def test_what_the_register_calls_erased_is_what_the_command_erases() -> None:
    for start, erased in (
        ("### The users of a clone", {*EMPTY, *NO_RIGHTS, *ERASED_BESIDE}),
        ("### Accounts beside another user model", set(EMPTY)),
    ):
        shown = {name for row in rows(start) if row[2].startswith("erased") for name in names(row[0])}
        assert shown == erased, start


def test_each_message_of_the_audit_log_is_explained() -> None:
    cells = [row[0] for row in rows_of_table(section(OPERATIONS, "The audit log"))[1:]]

    assert sorted(re.findall(r"`([^`]+)`", " ".join(cells))) == sorted(SecurityEvent)


def test_each_permission_for_an_action_is_explained() -> None:
    cells = [row[0] for row in rows_of_table(section(OPERATIONS, "Rights in the admin"))[1:]]
    shown = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert {codename for codename, _ in User._meta.permissions} <= shown
