"""A real key with tokens signed by it, and a client of the Backend API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pytest_httpserver import HTTPServer

from accounts.clerk.api import ClerkAPI
from accounts.clerk.jwks import usable_keys
from accounts.clerk.keys import KeysStatus, KeyStore
from accounts.clerk.tokens import SessionVerifier
from devclerk.emulator import Emulator
from devclerk.fixtures import LocalClerk
from devclerk.server import Server
from devclerk.tokens import Keyring
from tests.accounts.clerk.api_server import SECRET, RawServer, SleepClock
from tests.accounts.clerk.instances import replace_users
from tests.accounts.clerk.keyserver import KeyServer, document, serving
from tests.clock import Clock

ISSUER, PARTY = "https://clerk.example.test", "https://app.example.test"
NOW = 1_800_000_000
Mint = Callable[..., str]


class FixedKeys:
    """The keys of one document, without a network; counts the requests and keeps the results."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.keys = usable_keys(document)
        self.asked = 0
        self.results: list[bool] = []

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        self.asked += 1
        key = self.keys.get(kid) if isinstance(kid, str) else None
        return () if key is None else (key,)

    def status(self) -> KeysStatus:
        return KeysStatus(mode="fixed", held=True)

    def start(self) -> None:
        """Do nothing."""

    def record_result(self, *, good: bool) -> None:
        self.results.append(good)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring()


@pytest.fixture
def keys(keyring: Keyring) -> FixedKeys:
    return FixedKeys(keyring.jwks())


@pytest.fixture
def mint(keyring: Keyring) -> Mint:
    """Mint a token of `user_ada`, valid at NOW; `claims` and `header` replace the usual ones."""

    def mint(**options: Any) -> str:
        usual: dict[str, Any] = {"issuer": ISSUER, "azp": PARTY, "now": NOW}
        return keyring.mint("user_ada", **usual | options)

    return mint


@pytest.fixture
def verifier(keys: FixedKeys) -> Callable[..., SessionVerifier]:
    """Build a verifier for the one party, with options."""

    def build(**options: Any) -> SessionVerifier:
        usual: dict[str, Any] = {"authorized_parties": (PARTY,)}
        return SessionVerifier(keys, ISSUER, **usual | options)

    return build


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(keyring: Keyring) -> Iterator[KeyServer]:
    """Serve the keys that the ring has at the time of the request."""
    with serving(lambda handler: document(keyring.jwks())(handler)) as server:  # noqa: PLW0108 - read late
        yield server
    keyring.reset()


@pytest.fixture
def store(server: KeyServer, clock: Clock) -> KeyStore:
    return KeyStore(server.url, allow_http=True, clock=clock)


@pytest.fixture
def start() -> Iterator[Callable[[KeyStore], None]]:
    """Return a function that starts the refresher of a store; the refresher ends after the test."""
    stores: list[KeyStore] = []

    def start_store(store: KeyStore) -> None:
        stores.append(store)
        store.start()

    yield start_store
    for store in stores:
        store._refresher = None


@pytest.fixture
def sleep_clock() -> SleepClock:
    return SleepClock()


@pytest.fixture
def clerk_api(httpserver: HTTPServer, sleep_clock: SleepClock) -> ClerkAPI:
    """Return a client with 30 seconds of patience that waits on its clock only."""
    url = httpserver.url_for("")
    return ClerkAPI(SECRET, base_url=url, timeout=5, clock=sleep_clock, sleep=sleep_clock.sleep)


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def raw_api(raw_server: RawServer, sleep_clock: SleepClock) -> ClerkAPI:
    """Return a client of the raw server."""
    url = raw_server.address
    return ClerkAPI(SECRET, base_url=url, timeout=5, clock=sleep_clock, sleep=sleep_clock.sleep)


@pytest.fixture(scope="session")
def other_server() -> Iterator[Server]:
    with Server(Emulator()) as server:
        yield server


@pytest.fixture
def other(other_server: Server) -> LocalClerk:
    """Return another instance, with its own keys and users."""
    other_server.emulator.reset()
    other = LocalClerk(other_server)
    replace_users(other, name="other", number=0)
    return other
