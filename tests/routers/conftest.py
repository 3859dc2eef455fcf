"""A project with a router: what it reads from a replica, and where it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import Client
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from health.report.build import status_memo
from tests.routers import databases

SETUPS = ("empty", "lagging", "down", "other_alias")
Me = Callable[..., tuple[int, str]]


@dataclass(slots=True)
class Routed:
    """The databases of a test: the alias that is written to, and a replica that must not be asked."""

    setup: str
    write: str = "default"
    copy: str = ""

    def catch_up(self) -> None:
        """Let a lagging replica hold the rows of this moment; the other ones never do."""
        if self.setup == "lagging":
            databases.copy_to(self.copy)


@pytest.fixture(scope="package", autouse=True)
def known_aliases(django_db_setup: None) -> Iterator[None]:
    """Let Django allow the aliases of these tests; as mirrors they are not emptied after each test."""
    with ExitStack() as stack:
        for alias in ("replica", "primary"):
            mirror = connections.settings["default"]["TEST"] | {"MIRROR": "default"}
            stack.enter_context(databases.configured(alias, TEST=mirror))
        yield


@pytest.fixture(params=SETUPS)
def routed(request: pytest.FixtureRequest, clerk_settings: Settings) -> Iterator[Routed]:
    """Install the router; at the end assert that only the write database was ever connected to.

    `empty`, `lagging`, `down`: the replica beside `default`. `other_alias`: writes go to `primary`, the
    replica is down, and `default` is another application's.
    """
    routed, asked = Routed(request.param), set[str]()

    def note(connection: object, **_: object) -> None:
        asked.add(connection.alias)  # type: ignore[attr-defined]

    with ExitStack() as stack:
        if routed.setup == "other_alias":
            stack.enter_context(databases.copied("primary"))
            routed.write = "primary"
        if routed.setup in {"empty", "lagging"}:
            routed.copy = stack.enter_context(databases.copied("replica"))
        else:
            port = databases.closed_port()
            stack.enter_context(databases.configured("replica", HOST="127.0.0.1", PORT=port))
        kind = "PrimaryRouter" if routed.setup == "other_alias" else "ReplicaRouter"
        clerk_settings.DATABASE_ROUTERS = [f"tests.routers.databases.{kind}"]
        connections.close_all()
        status_memo.clear()
        connection_created.connect(note)
        stack.callback(connection_created.disconnect, note)
        yield routed
        clerk_settings.DATABASE_ROUTERS = []
    # The alias without a name is the server's own, for CREATE DATABASE.
    assert asked - {"__no_db__"} <= {routed.write}


@pytest.fixture
def me(clerk: LocalClerk) -> Me:
    """Send a request with a fresh token of a user, or with a given one; return status and one word."""

    def ask(who: str = "ada", *, token: str = "") -> tuple[int, str]:
        bearer = token or clerk.mint(who)
        response = Client(headers={"Authorization": f"Bearer {bearer}"}).get("/api/v1/me")
        body = response.json()
        word = body["errors"][0]["code"] if "errors" in body else body["first_name"]
        return response.status_code, str(word)

    return ask
