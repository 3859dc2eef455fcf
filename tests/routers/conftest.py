"""A project with a router that reads from a replica, and the checks of the databases it connects to."""

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
from health.checks import database_check
from health.report.shared import shared_reports
from tests.routers import databases

SETUPS = ("empty", "lagging", "down", "other_alias")
Me = Callable[..., tuple[int, str]]


@dataclass(slots=True)
class Routed:
    """The databases of a test: the alias for writes, and the name of a replica that must not be read."""

    setup: str
    write: str = "default"
    copy: str = ""

    def catch_up(self) -> None:
        """Copy the current rows to a lagging replica; the other setups ignore it."""
        if self.setup == "lagging":
            databases.copy_to(self.copy)


@pytest.fixture(scope="package", autouse=True)
def known_aliases(django_db_setup: None) -> Iterator[None]:
    """Define the aliases of these tests; Django does not flush mirrors after each test."""
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
    routed, connected = Routed(request.param), set[str]()

    def receive(connection: object, **_: object) -> None:
        connected.add(connection.alias)  # type: ignore[attr-defined]

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
        shared_reports.clear()
        database_check.forget()
        connection_created.connect(receive)
        stack.callback(connection_created.disconnect, receive)
        yield routed
        clerk_settings.DATABASE_ROUTERS = []
    # Django uses the alias `__no_db__` for CREATE DATABASE.
    assert connected - {"__no_db__"} <= {routed.write}


@pytest.fixture
def me(clerk: LocalClerk) -> Me:
    """Request `/api/v1/me` with a new token of a user or with `token`; return status and name or code."""

    def send(user: str = "ada", *, token: str = "") -> tuple[int, str]:
        bearer = token or clerk.mint(user)
        response = Client(headers={"Authorization": f"Bearer {bearer}"}).get("/api/v1/me")
        body = response.json()
        text = body["errors"][0]["code"] if "errors" in body else body["first_name"]
        return response.status_code, str(text)

    return send
