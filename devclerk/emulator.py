"""The emulator as one object: users, keys, sessions, Backend API and webhooks of one Clerk instance."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from devclerk.directory import Directory, now_ms
from devclerk.events import Change, Faults
from devclerk.frontend.clients import ClientStore
from devclerk.frontend.token_calls import TokenCalls
from devclerk.pacing import TokenPacer
from devclerk.refusals import Refused
from devclerk.tokens import Keyring
from devclerk.users import new_id
from devclerk.users_api import UsersAPI
from devclerk.web import Answer, Request
from devclerk.webhooks import RETRY_SCHEDULE_SECONDS, Deliveries, new_webhook_secret
from devclerk.wire import envelope, error_object, event_object, other_object

CHANGES_KEPT = 1000
SLOW_SECONDS = 10.0  # longer than a client waits for keys


class KeysState(StrEnum):
    """How the JWKS endpoints answer."""

    UP = "up"
    DOWN = "down"
    SLOW = "slow"


def new_secret_key() -> str:
    """Return a new secret key of a development instance."""
    return f"sk_test_{secrets.token_urlsafe(32)}"


class Emulator:
    """One Clerk instance: the seeded users, `users` generated ones, and webhooks to `webhook_url`, if any."""

    def __init__(
        self,
        *,
        users: int = 0,
        secret_key: str | None = None,
        webhook_secret: str | None = None,
        webhook_url: str | None = None,
        retry_schedule: Sequence[float] = RETRY_SCHEDULE_SECONDS,
        keys: Iterator[RSAPrivateKey] | None = None,
        keys_file: Path | None = None,
    ) -> None:
        self.secret_key = secret_key or new_secret_key()
        self.keyring = Keyring(keys, file=keys_file)
        self.instance_id = self.keyring.instance_id
        self.deliveries = Deliveries(
            secret=webhook_secret or new_webhook_secret(), url=webhook_url, retry_schedule=retry_schedule
        )
        self.changes: deque[Change] = deque(maxlen=CHANGES_KEPT)
        self.clients = ClientStore()
        self.token_calls = TokenCalls()
        self.directory = Directory(on_change=self._apply_change, users=users)
        self.users_api = UsersAPI(self.directory, secret_key=self.secret_key)
        self.token_pacer = TokenPacer()
        self.key_requests = 0
        self.keys_state = KeysState.UP
        self._release_slow = threading.Event()
        self._lock = threading.Lock()

    def _apply_change(self, change: Change) -> None:
        # As in Clerk, the sessions of a banned or deleted user end at once and for good.
        if change.type == "user.deleted" or change.user.banned or change.user.deprovisioned:
            self.clients.end_sessions_of(change.user.id)
        self.record_change(change)

    def record_change(self, change: Change) -> None:
        """Record a change and send its webhook."""
        self.changes.append(change)
        event = event_object(change, instance_id=self.instance_id)
        self.deliveries.send(event, svix_id=change.svix_id, faults=change.faults)

    def send_other(
        self, event_type: str, *, name: str, data: Mapping[str, Any], faults: Faults
    ) -> dict[str, Any]:
        """Send an event that is not about a user; return its data, to which `data` was added, and its id."""
        at, svix_id = now_ms(), new_id("msg")
        whole = other_object(event_type, name=name, at=at) | dict(data)
        event = envelope(event_type, at=at, instance_id=self.instance_id, data=whole)
        self.deliveries.send(event, svix_id=svix_id, faults=faults)
        return {"data": whole, "svix_id": svix_id}

    def reset(self) -> None:
        """Restore the start: the seeded users, the first key, no webhook address, no faults."""
        self.set_keys_state(KeysState.UP)
        self.key_requests = 0
        self.keyring.reset()
        self.deliveries.url = None
        self.deliveries.reset()
        self.directory.reset()
        self.changes.clear()
        self.clients.reset()
        self.token_calls.reset()
        self.token_pacer.reset()
        self.users_api.reset()

    def set_keys_state(self, state: KeysState) -> None:
        """Set how the JWKS endpoints answer; requests that wait there are answered at once."""
        self.keys_state = state
        self._release_slow.set()
        self._release_slow = threading.Event()

    def answer_keys(self, request: Request) -> Answer:
        """Return the public keys; `/v1/jwks` needs the secret key, the well-known address does not."""
        with self._lock:
            self.key_requests += 1
        if self.keys_state is KeysState.SLOW:
            self._release_slow.wait(SLOW_SECONDS)
        if self.keys_state is KeysState.DOWN:
            body = error_object("service_unavailable", message="The JWKS endpoint is set to be down.")
            return Answer.json(body, status=HTTPStatus.SERVICE_UNAVAILABLE)
        if request.path == "/v1/jwks":
            try:
                self.users_api.check_key(request)
            except Refused as refused:
                return refused.answer()
        return Answer.json(self.keyring.jwks())

    def answer_handshake(self, request: Request) -> Answer:
        """Return the cookies behind the nonce of a handshake, once; this needs the secret key."""
        try:
            self.users_api.check_key(request)
        except Refused as refused:
            return refused.answer()
        directives = self.clients.take_handshake(request.one("nonce"))
        if directives is None:
            body = error_object("resource_not_found", message="No handshake has this nonce.")
            return Answer.json(body, status=HTTPStatus.NOT_FOUND)
        return Answer.json({"directives": directives})

    def close(self) -> None:
        """End the background threads, and the waits of requests."""
        self._release_slow.set()
        self.token_calls.reset()
        self.deliveries.stop()
