"""Two Clerk instances, and what a command writes."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings
from werkzeug import Request, Response

from accounts.models import SyncRun, User
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from health.models import SyncFailure
from tests.accounts.wire import Wire


def replace_users(clerk: LocalClerk, *, name: str, number: int) -> None:
    for user in clerk.people:
        clerk.delete(user)
    for each in range(number):
        clerk.new_person(id=f"user_{name}{each}", email=f"{name}{each}@example.test")


def use_key_of(other: LocalClerk, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY, settings.CLERK_API_URL = other.secret_key, other.api_url


def get_written_rows() -> list[tuple[Any, ...]]:
    """Return every row that the commands write, in PostgreSQL with its physical version."""
    version = "xmin::text, ctid::text" if connection.vendor == "postgresql" else "updated_at, deleted_at"
    rows: list[tuple[Any, ...]] = []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clerk_id, {version} FROM {User._meta.db_table} ORDER BY id")  # noqa: S608
        rows += cursor.fetchall()
    for model in (SyncRun, SyncFailure):
        rows += model.objects.order_by("pk").values_list()
    return rows


def refusal(*command: str) -> str:
    """Run a command that must refuse and write nothing; return its message."""
    before = get_written_rows()
    with pytest.raises(CommandError) as caught:
        call_command(*command, stdout=StringIO(), stderr=StringIO())
    assert caught.value.returncode == 2
    assert get_written_rows() == before
    return str(caught.value)


def jwk(keyring: Keyring, **changes: str) -> dict[str, str]:
    return {**keyring.jwks()["keys"][0], **changes}


def serve_keys(wire: Wire, *entries: dict[str, str]) -> None:
    """Replace the public keys of the Backend API."""

    def tamper(request: Request, response: Response) -> Response:
        if request.path == "/v1/jwks":
            response.set_data(json.dumps({"keys": entries}))
        return response

    wire.tamper = tamper


def jwks_calls(wire: Wire) -> int:
    return sum(call.startswith("/v1/jwks") for call in wire.calls)
