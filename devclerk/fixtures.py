"""pytest fixtures: a running emulator with real keys, real signatures and real HTTP.

    pytest_plugins = ["devclerk.fixtures"]

    def test_me(clerk, clerk_settings, client):
        response = client.get("/api/v1/me", headers={"Authorization": f"Bearer {clerk.mint('ada')}"})

One server serves the whole test run; each test finds it reset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import pytest
from pytest_django import Settings

from devclerk.directory import UnknownUser
from devclerk.emulator import Emulator, KeysState
from devclerk.server import Server
from devclerk.tokens import fresh_keys
from devclerk.users import ClerkUser, new_id
from devclerk.webhooks import signed_headers

KEY_COUNT = 4  # a new key takes 0.1 s to generate, so rotations reuse these
# Short, so that a test can wait for every attempt.
RETRY_SCHEDULE_SECONDS = (0.05, 0.1, 0.1)


class LocalClerk:
    """The emulator for one test. `emulator` is the whole object behind these shortcuts."""

    def __init__(self, server: Server) -> None:
        self.emulator: Emulator = server.emulator
        self.issuer = self.api_url = self.azp = server.origin
        self.jwks_url = f"{server.origin}/.well-known/jwks.json"
        self.secret_key = self.emulator.secret_key
        self.publishable_key = server.instance.publishable_key
        self.webhook_secret = self.emulator.deliveries.secret
        self.instance_id = self.emulator.instance_id

    @property
    def kid(self) -> str:
        """Return the id of the signing key."""
        return self.emulator.keyring.kid

    @property
    def pem(self) -> str:
        """Return the public key, as CLERK_JWT_KEY takes it."""
        return self.emulator.keyring.pem

    @property
    def people(self) -> list[ClerkUser]:
        """Return all users in the order of their sign-up."""
        return self.emulator.directory.list_users()

    @property
    def key_requests(self) -> int:
        """Return the number of requests to the JWKS endpoints."""
        return self.emulator.key_requests

    @property
    def api_requests(self) -> list[tuple[str, str]]:
        """Return method and path of every call to the Backend API."""
        return [(request.method, request.path) for request in self.emulator.users_api.requests]

    def mint(self, who: ClerkUser | str, **options: Any) -> str:
        """Return a session token, with the options of `Keyring.mint`.

        A user id that no user has gets a token without the custom claims. Raise `UnknownUser` for any other
        unknown name, and what `Keyring.mint` raises.
        """
        options = {"issuer": self.issuer, "azp": self.azp} | options
        return self.emulator.keyring.mint(self._find_or_id(who), **options)

    def person(self, name: str) -> ClerkUser:
        """Return the current user with this handle, id or e-mail address. Raise `UnknownUser`."""
        return self.emulator.directory.find(name)

    def new_person(self, **fields: Any) -> ClerkUser:
        """Create a user with these fields of `ClerkUser`. Raise what `Directory.create` raises."""
        return self.emulator.directory.create(**fields)

    def make_up(self, users: int) -> None:
        """Reset the users to the seeded ones and this number of generated ones."""
        self.emulator.directory.reset(users=users)

    def update(self, who: ClerkUser | str, **changes: Any) -> ClerkUser:
        """Change a user. Raise `UnknownUser`, and what `Directory.update` raises."""
        return self.emulator.directory.update(self._find(who), **changes)

    def delete(self, who: ClerkUser | str) -> None:
        """Delete a user. Raise `UnknownUser`."""
        self.emulator.directory.delete(self._find(who))

    def sign_webhook(
        self,
        event: Mapping[str, Any] | bytes,
        *,
        svix_id: str | None = None,
        at: float | None = None,
        secret: str | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of one delivery, signed at `at` (seconds since the epoch; default now)."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = signed_headers(
            body, secret=secret or self.webhook_secret, svix_id=svix_id or new_id("msg"), at=at
        )
        return headers, body

    def send_webhooks_to(self, url: str | None) -> None:
        """Deliver the events of this test to `url`, or nowhere."""
        self.emulator.deliveries.url = url

    def rotate_keys(self, *, keep_old: bool = False) -> str:
        """Sign with another key from now on and return its `kid`."""
        return self.emulator.keyring.rotate(keep_old=keep_old)

    def keys_down(self) -> None:
        """Answer requests to the JWKS endpoints with 503."""
        self.emulator.set_keys_state(KeysState.DOWN)

    def keys_slow(self) -> None:
        """Answer requests to the JWKS endpoints too late."""
        self.emulator.set_keys_state(KeysState.SLOW)

    def keys_up(self) -> None:
        """Answer requests to the JWKS endpoints again."""
        self.emulator.set_keys_state(KeysState.UP)

    def api_fails(self, status: int, *, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next calls to the Backend API with this status."""
        self.emulator.users_api.plan_failures(status, times=times, retry_after=retry_after)

    def _find(self, who: ClerkUser | str) -> ClerkUser:
        return who if isinstance(who, ClerkUser) else self.person(who)

    def _find_or_id(self, who: ClerkUser | str) -> ClerkUser | str:
        try:
            return self._find(who)
        except UnknownUser:
            if str(who).startswith("user_"):
                return who
            raise


@pytest.fixture(scope="session")
def clerk_server() -> Iterator[Server]:
    """Run one emulator for the whole test run. Tests use `clerk`, which resets it."""
    keys = cycle(islice(fresh_keys(), KEY_COUNT))
    with Server(Emulator(keys=keys, retry_schedule=RETRY_SCHEDULE_SECONDS)) as server:
        yield server


@pytest.fixture
def clerk(clerk_server: Server) -> Iterator[LocalClerk]:
    """Return a running emulator with the seeded users, one key, no webhook address and no faults."""
    clerk_server.emulator.reset()
    yield LocalClerk(clerk_server)
    clerk_server.emulator.reset()


@pytest.fixture
def clerk_settings(clerk: LocalClerk, settings: Settings) -> Settings:
    """Configure the project to trust the emulator; DEBUG permits its plain http."""
    settings.DEBUG = True
    settings.CLERK_PUBLISHABLE_KEY = settings.CLERK_JWT_KEY = settings.CLERK_INSTANCE_ID = ""
    settings.CLERK_ISSUER = clerk.issuer
    settings.CLERK_JWKS_URL = clerk.jwks_url
    settings.CLERK_API_URL = clerk.api_url
    settings.CLERK_SECRET_KEY = clerk.secret_key
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (clerk.webhook_secret,)
    settings.CLERK_AUTHORIZED_PARTIES = (clerk.azp,)
    return settings
