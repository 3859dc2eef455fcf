"""What everything is measured on: a throwaway PostgreSQL, a key, the environment, a thousand people."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psycopg

from benchmarks.people import insert_people, person
from config.env import read_dotenv
from devclerk.tokens import LIFETIME_SECONDS, Fault, Keyring
from devclerk.users import ClerkUser
from tests.postgres import ThrowawayPostgres

Connection = psycopg.Connection[tuple[object, ...]]

ISSUER, PARTY = "https://clerk.example.test", "https://app.example.test"
WEBHOOK_SECRET = "whsec_" + "YmVuY2htYXJrcyBiZW5jaG1hcmtz"
PEOPLE = 1000
FOREIGN = ("DJANGO_", "CLERK_", "HEALTH_", "CORS_", "DATABASE_URL", "ALLOW_SQLITE", "PROMETHEUS_")
SERVER_SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    # It would come at a moment of its own, in one contender's turn.
    "autovacuum": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one person may show: a session token of Clerk's form, and a key of DRF's."""

    clerk_id: str
    session: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where all contenders stand."""

    url: str
    keyring: Keyring

    def connect(self, database: str = "postgres") -> Connection:
        """Open a connection beside Django's."""
        return psycopg.connect(self.url, dbname=database, autocommit=True)

    def session_of(self, who: ClerkUser, *, fault: Fault | None = None) -> str:
        """Mint a token as Clerk does: it lives 60 s."""
        return self.keyring.mint(who, issuer=ISSUER, azp=PARTY, fault=fault)


class Wallet:
    """The credentials of some people, never old: a token lives for a minute."""

    def __init__(self, ground: Ground, *, numbers: Sequence[int] = range(0, PEOPLE, 5)) -> None:
        self._ground = ground
        self._people = [person(number) for number in numbers]
        self._minted_at = float("-inf")
        self.refresh()

    def refresh(self) -> None:
        """Mint anew what is half a token's life old."""
        if time.monotonic() - self._minted_at < LIFETIME_SECONDS / 2:
            return
        self._minted_at = time.monotonic()
        self._held = [
            Credentials(clerk_id=who.id, session=self._ground.session_of(who), key=key_of(who))
            for who in self._people
        ]

    def __getitem__(self, turn: int) -> Credentials:
        return self._held[turn % len(self._held)]


def key_of(who: ClerkUser) -> str:
    """Give the person's key for DRF's TokenAuthentication: 40 characters, as DRF makes them."""
    return who.id.removeprefix("user_").rjust(40, "k")


@contextmanager
def prepared_ground() -> Iterator[Ground]:
    """Start the server, set up Django on it, store the people."""
    server = ThrowawayPostgres()
    try:
        _start(server)
        ground = Ground(url=server.url, keyring=Keyring())
        _set_environment(ground)
        import_module("django").setup()
        _fill(ground)
        yield ground
    finally:
        server.remove()


def _start(server: ThrowawayPostgres) -> None:
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name, value in SERVER_SETTINGS.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
    server.restart()


def _set_environment(ground: Ground) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    # An empty variable counts as not set, and is not overridden by the developer's file.
    written, _ = read_dotenv(Path(__file__).parent.parent / ".env")
    os.environ.update(dict.fromkeys(written, ""))
    os.environ.update(
        DJANGO_SETTINGS_MODULE="benchmarks.settings",
        DJANGO_SECRET_KEY="the benchmarks' own key, known to everybody, never used anywhere else",
        DJANGO_ALLOWED_HOSTS="localhost",
        DJANGO_HTTPS="false",
        DATABASE_URL=ground.url,
        CLERK_ISSUER=ISSUER,
        CLERK_JWT_KEY=ground.keyring.pem,
        CLERK_AUTHORIZED_PARTIES=PARTY,
        CLERK_WEBHOOK_SIGNING_SECRET=WEBHOOK_SECRET,
    )


def _fill(ground: Ground) -> None:
    import_module("django.core.management").call_command("migrate", verbosity=0)
    with ground.connect() as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        insert_people(connection, start=0, stop=PEOPLE)
        # Ours finds people by a partial index. The peers ask without its condition: they get an index too.
        connection.execute("CREATE INDEX peers_find_people ON accounts_user (clerk_id)")
        connection.cursor().executemany(
            "INSERT INTO authtoken_token (key, created, user_id)"
            " SELECT %s, now(), id FROM accounts_user WHERE clerk_id = %s",
            [(key_of(who), who.id) for who in map(person, range(PEOPLE))],
        )
        connection.execute("VACUUM ANALYZE")
