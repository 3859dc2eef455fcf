"""The two database roles of docs/operations.md: one migrates, the other one serves."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.config.test_settings import PRODUCTION
from tests.deploy.conftest import Serve, run_in
from tests.postgres import ThrowawayPostgres

pytestmark = pytest.mark.postgresql
OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
SignIn = Callable[[str], dict[str, str]]


def url(server: ThrowawayPostgres, *, role: str) -> str:
    return f"postgresql://{role}:{role}-password@127.0.0.1:{server.port}/clerk_sync"


@pytest.fixture
def server(postgres_server: ThrowawayPostgres) -> ThrowawayPostgres:
    """Create the database and the roles as the page says."""
    (text,) = re.findall(r"```sql\n(CREATE ROLE migrate .*?)```", OPERATIONS.read_text(), re.DOTALL)
    text = text.replace("'...'", "'a password'")
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE clerk_sync")
    address = postgres_server.url.rpartition("/")[0] + "/clerk_sync"
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in text.split(";"):
            connection.execute(statement.encode())
    return postgres_server


def check(app: Path, database: str) -> str:
    """Run the checks for the deployment and return their output."""
    command = [sys.executable, "manage.py", "check", "--deploy", "--database", "default"]
    variables = PRODUCTION | {"DATABASE_URL": database}
    done = subprocess.run(command, cwd=app, env=variables, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_one_role_migrates_and_another_one_serves(
    app: Path, server: ThrowawayPostgres, serve: Serve, sign_in: SignIn
) -> None:
    owner, service = url(server, role="migrate"), url(server, role="app")
    run_in(app, "manage.py", "migrate", "-v0", **PRODUCTION | {"DATABASE_URL": owner})
    assert "accounts.W011" in check(app, owner)
    assert "accounts.W011" not in check(app, service)

    site = serve(service)
    headers = sign_in("user_ada")
    assert [site.status("/api/v1/me", headers=headers) for _ in range(2)] == [200, 200]
    variables = PRODUCTION | {"DATABASE_URL": service}
    run_in(
        app,
        "manage.py",
        "createsuperuser",
        "--noinput",
        "--username=helga",
        "--email=h@example.test",
        **variables | {"DJANGO_SUPERUSER_PASSWORD": "a long password"},
    )
    for command in (
        ("scrub_deleted_users", "--older-than", "0"),
        ("prune_history", "--older-than", "0"),
        ("clearsessions",),
        ("export_user", "user_ada"),
    ):
        run_in(app, "manage.py", *command, **variables)

    with psycopg.connect(service) as connection:
        for statement in (
            b"DROP TABLE accounts_user",
            b"ALTER TABLE accounts_user DROP COLUMN banned",
            b"CREATE TABLE own (id int)",
            b"TRUNCATE webhooks_webhookevent",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
