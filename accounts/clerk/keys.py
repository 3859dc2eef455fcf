"""The keys that may have signed a session token: from Clerk's JWKS address, or from configured PEM texts."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.jwks import FetchFailed, check_address, fetch, keys_of_pem

FRESH = 600.0  # seconds; a refresh is started ahead of it
AHEAD = 120.0
HELD_AT_MOST = 24 * 3600.0
RETRY = 30.0
RETRY_WITHOUT_KEY = 5.0  # a request that finds no key asks no more often; the thread does
RETRY_AT_START = 2.0
WAIT = 2.0
SPREAD = random.SystemRandom()  # the shared generator is for those who may have seeded it
BUDGET, BUDGET_REFILL = 4, 60.0
SUSPECT_AFTER, SUSPECT_FROM = 300.0, 3


class KeysUnavailable(Exception):
    """No usable key can be had now; ask again after `retry_after` seconds."""

    retry_after = 5
    is_unexpected = False  # whether the key source failed in a way that was not foreseen, and was logged


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysStatus:
    """The state of the keys, for the health report."""

    mode: str
    age_seconds: float | None = None
    stale: bool = False
    held: bool = False
    last_error: str | None = None
    fetches: Mapping[str, int] = field(default_factory=dict)
    suspect_rotation: bool = False


class KeySource(Protocol):
    """Where a verifier gets its keys."""

    def candidates(self, kid: object) -> Sequence[RSAPublicKey]:
        """Return the keys to try, none for an unknown id; raises KeysUnavailable."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""

    def start(self) -> None:
        """Begin to hold keys before the first request asks."""

    def judged(self, *, good: bool) -> None:
        """Hear that a signature was good, or that one of a token which names our issuer was not."""


class PemKeys:
    """Configured keys: no network, and the token's `kid` is not used.

    If most signatures fail for five minutes, the key was probably rotated: nothing here could see it.
    """

    def __init__(self, keys: Sequence[RSAPublicKey], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = tuple(keys), clock
        self._good = self._bad = 0
        self._since = clock()
        self._suspect = False

    def candidates(self, kid: object) -> Sequence[RSAPublicKey]:
        return self._keys

    def status(self) -> KeysStatus:
        self._look_back()
        return KeysStatus(mode="pem", held=True, suspect_rotation=self._suspect)

    def start(self) -> None:
        """Nothing to begin: the keys are here."""

    def judged(self, *, good: bool) -> None:
        self._look_back()
        if not self._good + self._bad:
            self._since = self._clock()
        # Without a lock: a count lost between threads changes no majority.
        if good:
            self._good += 1
        else:
            self._bad += 1

    def _look_back(self) -> None:
        now = self._clock()
        # A few forgeries on a quiet night are no rotation: the window stays open until it says something.
        if now - self._since < SUSPECT_AFTER or self._good + self._bad < SUSPECT_FROM:
            return
        self._suspect = self._bad > self._good
        self._since, self._good, self._bad = now, 0, 0


def pem_keys(pem: str) -> PemKeys:
    """Return the keys of one or several PEM texts; raises ValueError with a sentence for the operator."""
    return PemKeys(keys_of_pem(pem))


@dataclass(frozen=True, slots=True)
class _Snapshot:
    keys: Mapping[str, RSAPublicKey]
    fetched_at: float


_OVER = threading.Event()
_OVER.set()


def _call_if_alive(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (bound := method()) is not None:
        bound()


class KeyStore:
    """The keys of a JWKS address, held ahead of need.

    Readers use an immutable snapshot without a lock. One background thread refreshes it; a failure keeps the
    old set, for 24 hours at most. Raises ValueError for an address that is not https.
    """

    def __init__(
        self, url: str, *, allow_http: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        check_address(url, allow_http=allow_http)
        self._url, self._clock = url, clock
        self._snapshot: _Snapshot | None = None
        self._last_error: str | None = None
        self._fetches: Counter[str] = Counter()
        self._reset()
        os.register_at_fork(after_in_child=partial(_call_if_alive, weakref.WeakMethod(self._after_fork)))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._flight: threading.Event | None = None
        self._tried_at = float("-inf")
        self._tokens, self._refilled_at = float(BUDGET), self._clock()
        self._thread: threading.Thread | None = None

    def _after_fork(self) -> None:
        started = self._thread is not None
        self._reset()  # locks and threads of the parent do not come along
        if started:
            self.start()

    def start(self) -> None:
        """Start the refreshing thread of this process, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_fresh, name="clerk-keys", daemon=True)
                self._thread.start()

    def candidates(self, kid: object) -> Sequence[RSAPublicKey]:
        """Return the one key of this id, or none; raises KeysUnavailable if no key is held or to be had."""
        if not isinstance(kid, str) or not kid:
            return ()
        snapshot = self._current()
        if snapshot is None:
            self._launch(permitted=partial(self._rested, RETRY_WITHOUT_KEY)).wait(WAIT)
            snapshot = self._current()
            if snapshot is None:
                raise KeysUnavailable
        elif self._due():
            self._launch(permitted=self._due)
        key = snapshot.keys.get(kid)
        return (key,) if key is not None else self._unknown(kid)

    def judged(self, *, good: bool) -> None:
        """Nothing follows: a rotation shows as an unknown `kid`."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""
        snapshot = self._snapshot
        age = None if snapshot is None else self._clock() - snapshot.fetched_at
        return KeysStatus(
            mode="jwks",
            age_seconds=age,
            stale=age is not None and age > FRESH,
            held=snapshot is not None,
            last_error=self._last_error,
            fetches=dict(self._fetches),
        )

    def _current(self) -> _Snapshot | None:
        snapshot = self._snapshot
        if snapshot is not None and self._clock() - snapshot.fetched_at > HELD_AT_MOST:
            return None
        return snapshot

    def _due(self) -> bool:
        snapshot = self._current()
        if snapshot is None:
            return True
        return self._clock() - snapshot.fetched_at > FRESH - AHEAD and self._rested(RETRY)

    def _rested(self, seconds: float) -> bool:
        return self._clock() - self._tried_at >= seconds

    def _unknown(self, kid: str) -> Sequence[RSAPublicKey]:
        """Fetch once for a key that is not in the set, within the budget.

        Note [An unknown key in an outage]
        If the last fetch failed or has not ended, the key may be a rotated one that we could not see: that is
        our trouble (503), not the token's (401), or an outage would sign people out.
        """
        give_up_at = time.monotonic() + WAIT
        flight = self._flight
        if flight is not None:  # it may have begun before the key was there, and then answers nothing
            flight.wait(WAIT)
        if (key := self._held(kid)) is None:
            needed = self._launch(permitted=lambda: self._held(kid) is None and self._spend())
            has_ended = needed.wait(max(0.0, give_up_at - time.monotonic()))
            key = self._held(kid)
            if key is None and (not has_ended or self._last_error is not None):
                raise KeysUnavailable
        return () if key is None else (key,)

    def _held(self, kid: str) -> RSAPublicKey | None:
        snapshot = self._current()
        return None if snapshot is None else snapshot.keys.get(kid)

    def _spend(self) -> bool:
        now = self._clock()
        self._tokens = min(BUDGET, self._tokens + (now - self._refilled_at) / BUDGET_REFILL)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _launch(self, *, permitted: Callable[[], bool]) -> threading.Event:
        """Join the fetch that is under way, or start one if that is permitted; the event marks its end.

        The permission is asked under the lock, by the one who would start: a herd that waits for one new key
        spends the budget of one fetch.
        """
        with self._lock:
            if self._flight is None and permitted():
                self._flight = self._take_off()
            return self._flight or _OVER

    def _take_off(self) -> threading.Event | None:
        self._tried_at = self._clock()
        flight = threading.Event()
        thread = threading.Thread(target=self._fly, args=(flight,), name="clerk-keys-flight", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads: the set that is held must do
            self._failed("no_thread")
            return None
        return flight

    def _failed(self, reason: str) -> None:
        self._last_error = reason
        self._fetches["failed"] += 1

    def _fly(self, flight: threading.Event) -> None:
        started_at = self._clock()
        try:
            keys = fetch(self._url)
        except FetchFailed as failed:
            self._failed(failed.reason)
        else:
            self._snapshot = _Snapshot(MappingProxyType(dict(keys)), started_at)
            self._last_error = None
            self._fetches["ok"] += 1
        finally:
            with self._lock:
                self._flight = None
            flight.set()

    def _keep_fresh(self) -> None:
        while self._thread is threading.current_thread():
            if self._due():
                self._launch(permitted=self._due).wait(WAIT)
            time.sleep(self._pause() * SPREAD.uniform(0.8, 1.0))

    def _pause(self) -> float:
        snapshot = self._current()
        if snapshot is None:
            return RETRY_AT_START
        return max(1.0, min(RETRY, FRESH - AHEAD - (self._clock() - snapshot.fetched_at)))
