"""pytest fixtures: a running stand-in with real keys, real signatures and real HTTP.

    pytest_plugins = ["devclerk.fixtures"]

    def test_me(clerk, clerk_settings, client):
        response = client.get("/api/v1/me", headers={"Authorization": f"Bearer {clerk.mint('ada')}"})

One server runs for the whole run; each test finds it as new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import pytest
from pytest_django import Settings

from devclerk.directory import UnknownPerson
from devclerk.people import Person, new_id
from devclerk.server import Server
from devclerk.standin import KeysState, StandIn
from devclerk.tokens import fresh_keys
from devclerk.webhooks import signed_headers

KEYS = 4  # a new one takes a tenth of a second to make; rotations go round
# Short, so that a test may wait for all of Svix's attempts.
RETRY_SCHEDULE = (0.05, 0.1, 0.1)


class LocalClerk:
    """A stand-in for one test. `standin` gives all that has no short name here."""

    def __init__(self, server: Server) -> None:
        self.standin: StandIn = server.standin
        self.issuer = self.api_url = self.azp = server.origin
        self.jwks_url = f"{server.origin}/.well-known/jwks.json"
        self.secret_key = self.standin.secret_key
        self.webhook_secret = self.standin.deliveries.secret
        self.instance_id = self.standin.instance_id

    @property
    def kid(self) -> str:
        """Name the key that signs."""
        return self.standin.keyring.kid

    @property
    def pem(self) -> str:
        """Give the public key, as CLERK_JWT_KEY takes it."""
        return self.standin.keyring.pem

    @property
    def people(self) -> list[Person]:
        """Give everybody in the order of their sign-up."""
        return self.standin.directory.people()

    @property
    def key_requests(self) -> int:
        """Count how often the address of the keys was asked."""
        return self.standin.key_requests

    @property
    def api_requests(self) -> list[tuple[str, str]]:
        """Give method and path of every call to the Backend API."""
        return [(request.method, request.path) for request in self.standin.users_api.requests]

    def mint(self, who: Person | str, **options: Any) -> str:
        """Mint a token with the options of `Keyring.mint`.

        A user id that nobody has gives a token without the custom claims.
        """
        options = {"issuer": self.issuer, "azp": self.azp} | options
        return self.standin.keyring.mint(self._known(who), **options)

    def person(self, name: str) -> Person:
        """Give somebody by handle, id or e-mail, as they are now."""
        return self.standin.directory.find(name)

    def new_person(self, **fields: Any) -> Person:
        """Sign somebody up, with the fields of `Person`."""
        return self.standin.directory.create(**fields)

    def make_up(self, users: int) -> None:
        """Put so many made-up people beside the seeded ones; whoever was signed up by hand is gone."""
        self.standin.directory.reset(users=users)

    def update(self, who: Person | str, **changes: Any) -> Person:
        """Change somebody."""
        return self.standin.directory.update(self._somebody(who), **changes)

    def delete(self, who: Person | str) -> None:
        """Delete somebody."""
        self.standin.directory.delete(self._somebody(who))

    def sign_webhook(
        self,
        event: Mapping[str, Any] | bytes,
        *,
        svix_id: str | None = None,
        at: float | None = None,
        secret: str | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Give headers and body of one delivery, signed at `at` (seconds; now)."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = signed_headers(
            body, secret=secret or self.webhook_secret, svix_id=svix_id or new_id("msg"), at=at
        )
        return headers, body

    def send_webhooks_to(self, url: str | None) -> None:
        """Deliver the events of this test there."""
        self.standin.deliveries.url = url

    def rotate_keys(self, *, keep_old: bool = False) -> str:
        """Sign with another key from now on and give its `kid`."""
        return self.standin.keyring.rotate(keep_old=keep_old)

    def keys_down(self) -> None:
        """Let the address of the keys answer 503."""
        self.standin.set_keys_state(KeysState.DOWN)

    def keys_slow(self) -> None:
        """Let the address of the keys answer too late."""
        self.standin.set_keys_state(KeysState.SLOW)

    def keys_up(self) -> None:
        """Let the address of the keys answer again."""
        self.standin.set_keys_state(KeysState.UP)

    def api_fails(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Let the Backend API answer the next calls with this status."""
        self.standin.users_api.fail(status, times=times, retry_after=retry_after)

    def _somebody(self, who: Person | str) -> Person:
        return who if isinstance(who, Person) else self.person(who)

    def _known(self, who: Person | str) -> Person | str:
        try:
            return self._somebody(who)
        except UnknownPerson:
            if str(who).startswith("user_"):
                return who
            raise


@pytest.fixture(scope="session")
def clerk_server() -> Iterator[Server]:
    """Run one stand-in for the whole run; tests want `clerk`, which is it as new."""
    keys = cycle(islice(fresh_keys(), KEYS))
    with Server(StandIn(keys=keys, retry_schedule=RETRY_SCHEDULE)) as server:
        yield server


@pytest.fixture
def clerk(clerk_server: Server) -> Iterator[LocalClerk]:
    """Give a running stand-in: the seeded people, one key, no webhook address, no trouble."""
    clerk_server.standin.reset()
    yield LocalClerk(clerk_server)
    clerk_server.standin.reset()


@pytest.fixture
def clerk_settings(clerk: LocalClerk, settings: Settings) -> Settings:
    """Let the project trust the stand-in; DEBUG is what permits its plain http."""
    settings.DEBUG = True
    settings.CLERK_PUBLISHABLE_KEY = settings.CLERK_JWT_KEY = settings.CLERK_INSTANCE_ID = ""
    settings.CLERK_ISSUER = clerk.issuer
    settings.CLERK_JWKS_URL = clerk.jwks_url
    settings.CLERK_API_URL = clerk.api_url
    settings.CLERK_SECRET_KEY = clerk.secret_key
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (clerk.webhook_secret,)
    settings.CLERK_AUTHORIZED_PARTIES = (clerk.azp,)
    return settings
