"""The stand-in as one object: people, keys, Backend API and webhooks of one made-up Clerk instance."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from enum import StrEnum
from http import HTTPStatus

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from devclerk.directory import Directory
from devclerk.events import Change
from devclerk.stories import Stories
from devclerk.tokens import Keyring
from devclerk.users_api import Refused, UsersAPI
from devclerk.web import Answer, Request
from devclerk.webhooks import RETRY_SCHEDULE, Deliveries, new_secret
from devclerk.wire import error_object, event_object

CHANGES_KEPT = 1000
SLOW_SECONDS = 10.0  # longer than anybody should wait for keys


class KeysState(StrEnum):
    """How the address of the keys is."""

    UP = "up"
    DOWN = "down"
    SLOW = "slow"


def new_secret_key() -> str:
    """Make a secret key of a development instance."""
    return f"sk_test_{secrets.token_urlsafe(32)}"


class StandIn:
    """One instance. `users` made-up people join the seeded ones; webhooks go to `webhook_url`, if any."""

    def __init__(
        self,
        *,
        users: int = 0,
        secret_key: str | None = None,
        webhook_secret: str | None = None,
        webhook_url: str | None = None,
        retry_schedule: Sequence[float] = RETRY_SCHEDULE,
        keys: Iterator[RSAPrivateKey] | None = None,
    ) -> None:
        self.secret_key = secret_key or new_secret_key()
        self.keyring = Keyring(keys)
        self.instance_id = self.keyring.kid
        self.deliveries = Deliveries(
            secret=webhook_secret or new_secret(), url=webhook_url, retry_schedule=retry_schedule
        )
        self.changes: deque[Change] = deque(maxlen=CHANGES_KEPT)
        self.directory = Directory(announce=self.announce, users=users)
        self.users_api = UsersAPI(self.directory, secret_key=self.secret_key)
        self.stories = Stories()
        self.key_requests = 0
        self.keys_state = KeysState.UP
        self._hurry = threading.Event()
        self._lock = threading.Lock()

    def announce(self, change: Change) -> None:
        """Remember a change and send its webhook."""
        self.changes.append(change)
        event = event_object(change, instance_id=self.instance_id)
        self.deliveries.send(event, svix_id=change.svix_id, faults=change.faults)

    def reset(self) -> None:
        """Go back to the start: the seeded people, the first key, no webhook address, no trouble."""
        self.set_keys_state(KeysState.UP)
        self.key_requests = 0
        self.keyring.reset()
        self.deliveries.url = None
        self.deliveries.reset()
        self.directory.reset()
        self.changes.clear()
        self.stories.forget()
        self.users_api.reset()

    def set_keys_state(self, state: KeysState) -> None:
        """Change how the address of the keys is; whoever waits there is answered at once."""
        self.keys_state = state
        self._hurry.set()
        self._hurry = threading.Event()

    def answer_keys(self, request: Request) -> Answer:
        """Answer with the public keys; `/v1/jwks` wants the secret key, the well-known address does not."""
        with self._lock:
            self.key_requests += 1
        if self.keys_state is KeysState.SLOW:
            self._hurry.wait(SLOW_SECONDS)
        if self.keys_state is KeysState.DOWN:
            body = error_object("service_unavailable", message="The key endpoint is down, as ordered.")
            return Answer.json(body, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if request.path == "/v1/jwks":
            try:
                self.users_api.check_key(request)
            except Refused as refused:
                return Answer.json(error_object(refused.code, message=refused.message), status=refused.status)
        return Answer.json(self.keyring.jwks())

    def close(self) -> None:
        """End what runs in the background."""
        self._hurry.set()
        self.deliveries.stop()
