"""`manage.py migrate` behind another session's lock: requests continue, and it tries again."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import get_commands
from django.core.management.base import CommandError
from django.db import OperationalError, connection, transaction

from config.management.commands.migrate import (
    GIVE_UP_SECONDS,
    LOCK_SECONDS,
    PAUSE_SECONDS,
    WAITING,
    repeat_while_locked,
    short_lock_timeout,
)
from tests.clock import Clock
from tests.config.test_settings import PRODUCTION
from tests.deploy.context import unpack
from tests.postgres import ThrowawayPostgres
from tests.releases import COLUMN, add_column

pytestmark = pytest.mark.postgresql
# As long as the migration is refused its lock, or so long.
DUMP_SECONDS = 15
REPORT = WAITING.format(seconds=PAUSE_SECONDS)


def test_it_is_the_command_of_this_project() -> None:
    assert get_commands()["migrate"] == "config"


def test_requests_continue_while_a_migration_waits_behind_a_dump(
    postgres_server: ThrowawayPostgres, tmp_path: Path
) -> None:
    unpack(tmp_path)
    migrate = [sys.executable, "manage.py", "migrate"]
    variables = PRODUCTION | {"DATABASE_URL": postgres_server.url}
    subprocess.run([*migrate, "-v0"], cwd=tmp_path, env=variables, check=True)
    add_column(tmp_path, model="user", column=COLUMN)
    output, errors = tmp_path / "output", tmp_path / "errors"
    stop, waits = threading.Event(), []

    def send_requests() -> None:
        with psycopg.connect(postgres_server.url, autocommit=True) as session:
            while not stop.wait(0.05):
                begin = time.monotonic()
                session.execute("SELECT 1 FROM accounts_user")
                waits.append(time.monotonic() - begin)

    requests = threading.Thread(target=send_requests)
    with psycopg.connect(postgres_server.url) as dump:
        dump.execute("LOCK TABLE accounts_user IN ACCESS SHARE MODE")
        requests.start()
        with output.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(migrate, cwd=tmp_path, env=variables, stdout=stdout, stderr=stderr)
        deadline = time.monotonic() + DUMP_SECONDS
        while not errors.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        dump.rollback()
    status = process.wait(timeout=60)
    stop.set()
    requests.join()

    # A statement that queues behind the migration waits as long as the migration does, and no longer.
    assert LOCK_SECONDS / 2 < max(waits) < LOCK_SECONDS + 1.5
    assert (status, errors.read_text()) == (0, f"{REPORT}\n")
    assert output.read_text().count("_example...") == 2


@pytest.fixture
def dump(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Yield a session that reads a table in a transaction, as pg_dump does."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as session:
        session.execute("LOCK TABLE accounts_user IN ACCESS SHARE MODE")
        yield session


def exclude_readers() -> None:
    """Ask for the lock of ALTER TABLE; PostgreSQL fails as after a lock timeout if it is not free."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE NOWAIT")


def test_it_tries_again_until_the_lock_is_released(dump: psycopg.Connection) -> None:
    clock, reports = Clock(), list[str]()

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if len(reports) == 3:
            dump.rollback()

    repeat_while_locked(exclude_readers, report=reports.append, now=clock, sleep=sleep)

    assert reports == [REPORT] * 3
    assert clock.now == Clock().now + 3 * PAUSE_SECONDS


def test_it_gives_up_after_a_quarter_of_an_hour(dump: psycopg.Connection) -> None:
    clock, reports = Clock(), list[str]()

    def sleep(seconds: float) -> None:
        clock.now += seconds

    with pytest.raises(CommandError, match="another session held it for 15 minutes"):
        repeat_while_locked(exclude_readers, report=reports.append, now=clock, sleep=sleep)

    assert clock.now == Clock().now + GIVE_UP_SECONDS
    assert len(reports) == GIVE_UP_SECONDS / PAUSE_SECONDS


@pytest.mark.django_db(transaction=True)
def test_any_other_failure_ends_it_at_once() -> None:
    reports: list[str] = []

    def exceed_a_timeout() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1")
            cursor.execute("SELECT pg_sleep(5)")

    with pytest.raises(OperationalError, match="statement timeout"):
        repeat_while_locked(exceed_a_timeout, report=reports.append)

    assert reports == []


def lock_timeout(*, atomic: bool) -> str:
    """Return the limit that a migration has."""
    with connection.schema_editor(atomic=atomic), connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (value,) = cursor.fetchone()
        return str(value)


@pytest.mark.django_db(transaction=True)
def test_limit_is_that_of_the_transaction_and_spares_concurrent_indexes() -> None:
    usual = lock_timeout(atomic=True)

    with short_lock_timeout(connection):
        assert lock_timeout(atomic=True) == f"{LOCK_SECONDS}s"
        assert lock_timeout(atomic=False) == usual

    assert lock_timeout(atomic=True) == usual
