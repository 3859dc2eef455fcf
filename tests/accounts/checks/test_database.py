"""One test for each check of the databases and their routers."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from psycopg import IsolationLevel
from pytest_django import Settings

from tests.accounts.checks.conftest import POSTGRESQL, SQLITE, Configure
from tests.routers.databases import configured
from webhooks.models import WebhookEvent


def test_e010_sqlite_outside_debug(ids: Configure) -> None:
    assert ids(database={"ENGINE": SQLITE}) == ["accounts.E010"]
    assert ids(database={"ENGINE": SQLITE}, ALLOW_SQLITE=True) == []
    assert ids(database={"ENGINE": SQLITE}, DEBUG=True) == []


def test_malformed_database_url_is_the_only_error(ids: Configure) -> None:
    problem = (("DATABASE_URL", "has an unknown option pgbouncer"),)

    assert ids(database={"ENGINE": SQLITE}, ENV_PROBLEMS=problem) == ["accounts.E001"]


def test_e022_autocommit_is_off(ids: Configure) -> None:
    assert ids(database={"AUTOCOMMIT": False}) == ["accounts.E022"]


@pytest.mark.parametrize("engine", [POSTGRESQL, SQLITE])
def test_e011_atomic_requests_are_on(ids: Configure, engine: str) -> None:
    assert ids(database={"ENGINE": engine, "ATOMIC_REQUESTS": True}, ALLOW_SQLITE=True) == ["accounts.E011"]


@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": IsolationLevel.REPEATABLE_READ},
        {"isolation_level": IsolationLevel.SERIALIZABLE},
        {"isolation_level": 3},
        {"options": "-c default_transaction_isolation=serializable"},
    ],
)
def test_e012_isolation_level_differs(ids: Configure, options: dict[str, object]) -> None:
    assert ids(database={"OPTIONS": options}) == ["accounts.E012"]


def test_read_committed_may_be_explicit(ids: Configure) -> None:
    assert ids(database={"OPTIONS": {"isolation_level": IsolationLevel.READ_COMMITTED}}) == []


def test_w004_each_request_opens_a_connection(ids: Configure) -> None:
    assert ids(database={"CONN_MAX_AGE": 0}) == ["accounts.W004"]
    assert ids(database={"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}) == []
    assert ids(database={"CONN_MAX_AGE": None}) == []


def test_e016_models_are_written_to_two_databases(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = ["tests.routers.databases.ScatteringRouter"]
    (message,) = [each for each in run_checks(tags=["accounts"]) if each.id == "accounts.E016"]
    assert f"'primary': {WebhookEvent._meta.label}" in message.msg
    settings.DATABASE_ROUTERS = ["tests.routers.databases.ReplicaRouter"]
    assert "accounts.E016" not in [each.id for each in run_checks(tags=["accounts"])]


def test_e016_router_names_no_configured_database(settings: Settings) -> None:
    settings.DATABASE_ROUTERS = ["tests.routers.databases.PrimaryRouter"]
    assert "accounts.E016" in [each.id for each in run_checks(tags=["accounts"])]


@pytest.mark.parametrize(("alias", "expected"), [("primary", True), ("replica", False)])
def test_e011_concerns_the_write_database(settings: Settings, alias: str, *, expected: bool) -> None:
    settings.DATABASE_ROUTERS = ["tests.routers.databases.PrimaryRouter"]
    with configured(alias, ATOMIC_REQUESTS=True):
        ids = [each.id for each in run_checks(tags=["accounts"])]
    assert ("accounts.E011" in ids) is expected
