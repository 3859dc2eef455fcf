"""The environment of the benchmarks: a throwaway PostgreSQL, a signing key, settings, a thousand users."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psycopg

from benchmarks.users import insert_members, insert_users, made_up_user
from config.env import read_dotenv
from devclerk.tokens import LIFETIME_SECONDS, Fault, Keyring
from devclerk.users import ClerkUser
from tests.postgres import ThrowawayPostgres

Connection = psycopg.Connection[tuple[object, ...]]

ISSUER, PARTY = "https://clerk.example.test", "https://app.example.test"
WEBHOOK_SECRET = "whsec_" + "YmVuY2htYXJrcyBiZW5jaG1hcmtz"
USERS = 1000
CLEARED_PREFIXES = ("DJANGO_", "CLERK_", "HEALTH_", "CORS_", "DATABASE_URL", "ALLOW_SQLITE", "PROMETHEUS_")
SERVER_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    # It would run during the turn of one peer.
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials of one user: a Clerk session token, and a key of DRF's TokenAuthentication."""

    clerk_id: str
    session: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The PostgreSQL server and the signing key that all benchmarks use."""

    url: str
    keyring: Keyring

    def connect(self, database: str = "postgres") -> Connection:
        """Open a connection of its own, apart from Django's."""
        return psycopg.connect(self.url, dbname=database, autocommit=True)

    def session_of(self, user: ClerkUser, *, fault: Fault | None = None) -> str:
        """Mint a session token that is valid for 60 seconds, as Clerk does."""
        return self.keyring.mint(user, issuer=ISSUER, azp=PARTY, fault=fault)


class CredentialPool:
    """Credentials of several users, renewed before they expire."""

    def __init__(self, environment: Environment, *, numbers: Sequence[int] = range(0, USERS, 5)) -> None:
        self._environment = environment
        self._users = [made_up_user(number) for number in numbers]
        self._minted_at = float("-inf")
        self.refresh()

    def refresh(self) -> None:
        """Mint new tokens if the present ones have used up half of their lifetime."""
        if time.monotonic() - self._minted_at < LIFETIME_SECONDS / 2:
            return
        self._minted_at = time.monotonic()
        self._credentials = [
            Credentials(clerk_id=user.id, session=self._environment.session_of(user), key=token_key_of(user))
            for user in self._users
        ]

    def __getitem__(self, turn: int) -> Credentials:
        return self._credentials[turn % len(self._credentials)]


def token_key_of(user: ClerkUser) -> str:
    """Return the user's key for DRF's TokenAuthentication: 40 characters, as in DRF."""
    return user.id.removeprefix("user_").rjust(40, "k")


@contextmanager
def prepared_environment(settings: str = "benchmarks.settings") -> Iterator[Environment]:
    """Start PostgreSQL, set up Django and store the users; remove the server at the end."""
    server = ThrowawayPostgres()
    try:
        _start(server)
        environment = Environment(url=server.url, keyring=Keyring())
        _set_environment(environment, settings=settings)
        import_module("django").setup()
        _load_data(environment)
        yield environment
    finally:
        server.remove()


def _start(server: ThrowawayPostgres) -> None:
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name, value in SERVER_SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    server.restart()


def _set_environment(environment: Environment, *, settings: str) -> None:
    for name in [name for name in os.environ if name.startswith(CLEARED_PREFIXES)]:
        del os.environ[name]
    # An empty variable counts as not set, and is not overridden by the developer's file.
    written, _ = read_dotenv(Path(__file__).parent.parent / ".env")
    os.environ.update(dict.fromkeys(written, ""))
    os.environ.update(
        DJANGO_SETTINGS_MODULE=settings,
        DJANGO_SECRET_KEY="the benchmarks' own key, publicly known, never used anywhere else",
        DJANGO_ALLOWED_HOSTS="localhost",
        DJANGO_HTTPS="false",
        DATABASE_URL=environment.url,
        CLERK_ISSUER=ISSUER,
        CLERK_JWT_KEY=environment.keyring.pem,
        CLERK_AUTHORIZED_PARTIES=PARTY,
        CLERK_WEBHOOK_SIGNING_SECRET=WEBHOOK_SECRET,
    )


def _load_data(environment: Environment) -> None:
    import_module("django.core.management").call_command("migrate", verbosity=0)
    with environment.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        table = import_module("django.contrib.auth").get_user_model()._meta.db_table
        insert = insert_users if table == "accounts_user" else insert_members
        insert(connection, start=0, stop=USERS)
        # Our look-up uses a partial index. The peers query without its condition, so they get an index too.
        connection.execute(f"CREATE INDEX peers_clerk_id ON {table} (clerk_id)".encode())
        connection.cursor().executemany(
            "INSERT INTO authtoken_token (key, created, user_id)"  # noqa: S608 - the name of a table
            f" SELECT %s, now(), id FROM {table} WHERE clerk_id = %s".encode(),
            [(token_key_of(user), user.id) for user in map(made_up_user, range(USERS))],
        )
        connection.execute("VACUUM ANALYZE")
