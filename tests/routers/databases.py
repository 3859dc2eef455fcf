"""More databases than the one of the tests, and routers that use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

from django.db import connection, connections
from django.db.models import Model

from accounts.apps import AccountsConfig
from health.apps import HealthConfig
from tests.ports import free_port
from webhooks.apps import WebhooksConfig

ALIASES = ("default", "replica", "primary")
APP_LABELS = frozenset({AccountsConfig.label, WebhooksConfig.label, HealthConfig.label, "auth"})


class ReplicaRouter:
    """Read this project's models and the permissions from `replica`, and write them to `default`."""

    others: str | None = None
    write = "default"

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        """Return the replica for the apps of this project."""
        return "replica" if model._meta.app_label in APP_LABELS else self.others

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        """Return the write database for the apps of this project."""
        return self.write if model._meta.app_label in APP_LABELS else self.others

    def allow_relation(self, *_: object, **__: object) -> bool:
        """Allow relations: the databases hold the same rows."""
        return True


class PrimaryRouter(ReplicaRouter):
    """Write all models to `primary`; `default` belongs to another application."""

    others = write = "primary"


class ScatteringRouter(ReplicaRouter):
    """Write the webhook events to another database than the users."""

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        """Return another database for the webhook events."""
        return "primary" if model._meta.app_label == WebhooksConfig.label else None


@contextmanager
def configured(alias: str, **changes: object) -> Iterator[None]:
    """Add a database to DATABASES: the entry of the tests' database with these changes."""
    before = connections.settings.get(alias)
    _configure(alias, deepcopy(connections.settings["default"]) | changes)
    try:
        yield
    finally:
        connections[alias].close()
        _configure(alias, before)


def _configure(alias: str, entry: dict[str, Any] | None) -> None:
    with suppress(AttributeError):
        del connections[alias]
    if entry is None:
        del connections.settings[alias]
    else:
        connections.settings[alias] = entry


@contextmanager
def copied(alias: str) -> Iterator[str]:
    """Copy the tests' database, add the copy to DATABASES and yield its name; drop it afterwards."""
    name = f"{connection.settings_dict['NAME']}_{alias}"
    copy_to(name)
    try:
        with configured(alias, NAME=name):
            yield name
    finally:
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def copy_to(name: str) -> None:
    """Copy the tests' database; an earlier copy of this name is dropped."""
    template = connection.settings_dict["NAME"]
    connections.close_all()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        # A template must have no sessions; threads of earlier tests may have left some.
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        cursor.execute(sessions, [template])
        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def closed_port() -> str:
    """Return a port of this machine without a listener."""
    return str(free_port())
