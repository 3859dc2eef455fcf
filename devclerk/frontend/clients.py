"""The clients of the emulated instance, one for each browser, and their sessions.

All values are immutable; a change replaces the client in the store.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from devclerk.directory import now_ms
from devclerk.users import new_id

HANDSHAKES_KEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSession:
    """A session of a user in one browser. Times are in milliseconds.

    `organization_id` is the active organization; the session's tokens are about it.
    """

    user_id: str
    id: str = field(default_factory=lambda: new_id("sess"))
    created_at: int = field(default_factory=now_ms)
    last_active_at: int = field(default_factory=now_ms)
    organization_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserClient:
    """A browser, known by the secret `key` in its cookie. Only sign-ins and sign-outs raise `updated_at`."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    id: str = field(default_factory=lambda: new_id("client"))
    created_at: int = field(default_factory=now_ms)
    updated_at: int = field(default_factory=now_ms)
    sessions: tuple[ClientSession, ...] = ()
    active_session_id: str | None = None

    def find_session(self, session_id: str | None) -> ClientSession | None:
        """Return the session with this id, or None."""
        return next((one for one in self.sessions if one.id == session_id), None)

    @property
    def active_session(self) -> ClientSession | None:
        """Return the session that was active last, or None after a sign-out."""
        return self.find_session(self.active_session_id)

    def without_sessions(self, ended: Callable[[ClientSession], bool]) -> BrowserClient:
        """Return the client without the sessions that `ended` names; another session becomes active."""
        kept = tuple(one for one in self.sessions if not ended(one))
        if len(kept) == len(self.sessions):
            return self
        active = self.active_session_id
        if active not in {one.id for one in kept}:
            newest = max(kept, key=lambda one: one.last_active_at, default=None)
            active = newest.id if newest else None
        return replace(self, sessions=kept, active_session_id=active, updated_at=now_ms())


class ClientStore:
    """A thread-safe store. It never calls other parts of the emulator, whose locks may be held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, BrowserClient] = {}
        self._handshakes: OrderedDict[str, list[str]] = OrderedDict()

    def reset(self) -> None:
        """Forget all clients."""
        with self._lock:
            self._clients.clear()
            self._handshakes.clear()

    def get(self, key: str | None) -> BrowserClient | None:
        """Return the client with this key, or None."""
        with self._lock:
            return self._clients.get(key or "")

    def create(self) -> BrowserClient:
        """Create a client without a session."""
        with self._lock:
            return self._put(BrowserClient())

    def remove(self, key: str) -> None:
        """Forget a client and end its sessions."""
        with self._lock:
            self._clients.pop(key, None)

    def sign_in(self, key: str | None, *, user_id: str) -> BrowserClient:
        """Sign a user in, beside the users that are signed in already. A user has one session in a client."""
        with self._lock:
            client = self._clients.get(key or "") or BrowserClient()
            client = client.without_sessions(lambda one: one.user_id == user_id)
            session = ClientSession(user_id=user_id)
            return self._put(
                replace(
                    client,
                    sessions=(*client.sessions, session),
                    active_session_id=session.id,
                    updated_at=now_ms(),
                )
            )

    def touch(self, client: BrowserClient, session: ClientSession) -> BrowserClient:
        """Store a session of the client with the time of now, and make it the active one, unless it ended."""
        touched = replace(session, last_active_at=now_ms())
        with self._lock:
            current = self._clients.get(client.key, client)
            if current.find_session(session.id) is None:
                return current
            sessions = tuple(touched if one.id == session.id else one for one in current.sessions)
            return self._put(replace(current, sessions=sessions, active_session_id=session.id))

    def end_session(self, client: BrowserClient, *, session_id: str) -> BrowserClient:
        """End one session of the client."""
        with self._lock:
            current = self._clients.get(client.key, client)
            return self._put(current.without_sessions(lambda one: one.id == session_id))

    def end_sessions(self, client: BrowserClient) -> BrowserClient:
        """End all sessions of the client."""
        with self._lock:
            current = self._clients.get(client.key, client)
            return self._put(current.without_sessions(lambda _: True))

    def end_sessions_of(self, user_id: str) -> int:
        """End the sessions of a user in every browser. Return their number."""
        with self._lock:
            before = self._count()
            for client in list(self._clients.values()):
                self._put(client.without_sessions(lambda one: one.user_id == user_id))
            return before - self._count()

    def store_handshake(self, directives: list[str]) -> str:
        """Keep the cookies of a handshake and return their nonce."""
        nonce = secrets.token_urlsafe(24)
        with self._lock:
            self._handshakes[nonce] = directives
            if len(self._handshakes) > HANDSHAKES_KEPT:
                self._handshakes.popitem(last=False)
        return nonce

    def take_handshake(self, nonce: str) -> list[str] | None:
        """Return the cookies behind a nonce, once, or None."""
        with self._lock:
            return self._handshakes.pop(nonce, None)

    def _put(self, client: BrowserClient) -> BrowserClient:
        self._clients[client.key] = client
        return client

    def _count(self) -> int:
        return sum(len(client.sessions) for client in self._clients.values())
