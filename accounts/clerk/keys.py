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

from accounts.clerk.jwks import FETCH_TIMEOUT_SECONDS, FetchFailed, check_address, fetch_keys, keys_of_pem
from accounts.clerk.single_flight import Run, SingleFlight
from accounts.clerk.token_bucket import TokenBucket

FRESH_SECONDS = 600.0
REFRESH_AHEAD_SECONDS = 120.0
MAX_AGE_SECONDS = 24 * 3600.0
MAX_WAIT_SECONDS = 2.0
RETRY_SECONDS = 30.0
RETRY_WITHOUT_KEY_SECONDS = 5.0  # for a request that finds no key
RETRY_AT_START_SECONDS = 2.0  # for the refreshing thread while there is no key
UNKNOWN_KID_FETCHES, SECONDS_PER_UNKNOWN_KID_FETCH = 4, 60.0
ROTATION_WINDOW_SECONDS, ROTATION_MIN_RESULTS = 300.0, 3
JITTER = random.SystemRandom()  # applications may seed the shared generator


class KeysUnavailable(Exception):
    """There is no usable key now; try again after `retry_after` seconds."""

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

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        """Return the keys to try, none for an unknown id; raise KeysUnavailable if there is no key at all."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""

    def start(self) -> None:
        """Start to load keys before the first request."""

    def record_result(self, *, good: bool) -> None:
        """Count a good signature, or a bad one of a token that names our issuer."""


class PemKeys:
    """Configured keys: no network, and the token's `kid` is not used.

    If most signatures of a window are bad, the key was probably rotated in Clerk: `status` reports it.
    """

    def __init__(self, keys: Sequence[RSAPublicKey], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = tuple(keys), clock
        self._good = self._bad = 0
        self._window_began_at = clock()
        self._suspect = False

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        return self._keys

    def status(self) -> KeysStatus:
        self._close_window_if_over()
        return KeysStatus(mode="pem", held=True, suspect_rotation=self._suspect)

    def start(self) -> None:
        """Do nothing: the keys are configured."""

    def record_result(self, *, good: bool) -> None:
        """Count the result towards the majority of the window."""
        self._close_window_if_over()
        if not self._good + self._bad:
            self._window_began_at = self._clock()
        # Without a lock: a count lost between threads changes no majority.
        if good:
            self._good += 1
        else:
            self._bad += 1

    def _close_window_if_over(self) -> None:
        now, results = self._clock(), self._good + self._bad
        # One or two forgeries are no rotation: the window stays open until it has enough results.
        if now - self._window_began_at < ROTATION_WINDOW_SECONDS or results < ROTATION_MIN_RESULTS:
            return
        self._suspect = self._bad > self._good
        self._window_began_at, self._good, self._bad = now, 0, 0


def pem_keys(pem: str) -> PemKeys:
    """Return the keys of one or several PEM texts; raise ValueError with a sentence for the operator."""
    return PemKeys(keys_of_pem(pem))


@dataclass(frozen=True, slots=True)
class _Snapshot:
    keys: Mapping[str, RSAPublicKey]
    fetched_at: float


def _call_if_alive(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (bound := method()) is not None:
        bound()


class KeyStore:
    """The keys of a JWKS address, fetched ahead of need.

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
        self._results: Counter[str] = Counter()
        self._reset()
        os.register_at_fork(after_in_child=partial(_call_if_alive, weakref.WeakMethod(self._after_fork)))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._fetch = SingleFlight(
            partial(fetch_keys, self._url),
            name="clerk-keys-fetch",
            on_end=self._record_fetch,
            max_seconds=FETCH_TIMEOUT_SECONDS,
        )
        self._fetch_began_at = float("-inf")
        self._budget = TokenBucket(
            capacity=UNKNOWN_KID_FETCHES, seconds_per_token=SECONDS_PER_UNKNOWN_KID_FETCH, clock=self._clock
        )
        self._refresher: threading.Thread | None = None

    def _after_fork(self) -> None:
        was_started = self._refresher is not None
        self._reset()  # the child has a copy of the parent's locks, and none of its threads
        if was_started:
            self.start()

    def start(self) -> None:
        """Start the refreshing thread of this process, once."""
        with self._lock:
            if self._refresher is None:
                self._refresher = threading.Thread(target=self._refresh, name="clerk-keys", daemon=True)
                self._refresher.start()

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        """Return the one key of this id, or none if the id is unknown.

        Raises KeysUnavailable without a usable set, or if a failing address may have an unknown key.
        """
        if not isinstance(kid, str) or not kid:
            return ()
        snapshot = self._current()
        if snapshot is None:
            is_permitted = partial(self._is_fetch_older_than, RETRY_WITHOUT_KEY_SECONDS)
            _wait(self._start_fetch(permitted=is_permitted), seconds=MAX_WAIT_SECONDS)
            snapshot = self._current()
            if snapshot is None:
                raise KeysUnavailable
        elif self._is_due():
            self._start_fetch(permitted=self._is_due)
        key = snapshot.keys.get(kid)
        return (key,) if key is not None else self._get_unknown_key(kid)

    def record_result(self, *, good: bool) -> None:
        """Do nothing: a rotation shows as an unknown `kid`."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""
        snapshot = self._snapshot
        age = None if snapshot is None else self._clock() - snapshot.fetched_at
        return KeysStatus(
            mode="jwks",
            age_seconds=age,
            stale=age is not None and age > FRESH_SECONDS,
            held=snapshot is not None,
            last_error=self._last_error,
            fetches=dict(self._results),
        )

    def _current(self) -> _Snapshot | None:
        snapshot = self._snapshot
        if snapshot is not None and self._clock() - snapshot.fetched_at > MAX_AGE_SECONDS:
            return None
        return snapshot

    def _is_due(self) -> bool:
        snapshot = self._current()
        if snapshot is None:
            return True
        age = self._clock() - snapshot.fetched_at
        return age > FRESH_SECONDS - REFRESH_AHEAD_SECONDS and self._is_fetch_older_than(RETRY_SECONDS)

    def _is_fetch_older_than(self, seconds: float) -> bool:
        return self._clock() - self._fetch_began_at >= seconds

    def _get_unknown_key(self, kid: str) -> Sequence[RSAPublicKey]:
        """Fetch once for a key that is not in the set, within the budget.

        Note [An unknown key in an outage]
        If the last fetch failed or has not ended, the key may be a rotated one that is not in the set yet.
        That is 503, not 401: an outage of the address must not sign users out.
        """
        give_up_at = time.monotonic() + MAX_WAIT_SECONDS
        # A fetch in flight may have begun before the key was published: it proves nothing.
        _wait(self._fetch.join(), seconds=MAX_WAIT_SECONDS)
        if (key := self._find(kid)) is None:
            run = self._start_fetch(permitted=lambda: self._find(kid) is None and self._budget.take())
            has_ended = _wait(run, seconds=max(0.0, give_up_at - time.monotonic()))
            key = self._find(kid)
            if key is None and (not has_ended or self._last_error is not None):
                raise KeysUnavailable
        return () if key is None else (key,)

    def _find(self, kid: str) -> RSAPublicKey | None:
        snapshot = self._current()
        return None if snapshot is None else snapshot.keys.get(kid)

    def _start_fetch(self, *, permitted: Callable[[], bool]) -> Run[Mapping[str, RSAPublicKey]] | None:
        """Join the fetch in flight, or start one if that is permitted; return None if neither.

        The permission is asked once: many requests that need one new key spend one fetch of the budget.
        """

        def may_start() -> bool:
            if not permitted():
                return False
            self._fetch_began_at = self._clock()
            return True

        try:
            return self._fetch.join_or_start(permitted=may_start)
        except RuntimeError:  # the process has no more threads: the set that is held stays in use
            self._record_failure("no_thread")
            return None

    def _record_fetch(self, run: Run[Mapping[str, RSAPublicKey]]) -> None:
        if run.result is not None:
            self._snapshot = _Snapshot(MappingProxyType(dict(run.result)), self._fetch_began_at)
            self._last_error = None
            self._results["ok"] += 1
        else:
            self._record_failure(_reason(run.error))

    def _record_failure(self, reason: str) -> None:
        self._last_error = reason
        self._results["failed"] += 1

    def _refresh(self) -> None:
        while self._refresher is threading.current_thread():
            if self._is_due():
                _wait(self._start_fetch(permitted=self._is_due), seconds=MAX_WAIT_SECONDS)
            time.sleep(self._seconds_until_next_check() * JITTER.uniform(0.8, 1.0))

    def _seconds_until_next_check(self) -> float:
        snapshot = self._current()
        if snapshot is None:
            return RETRY_AT_START_SECONDS
        due_in = FRESH_SECONDS - REFRESH_AHEAD_SECONDS - (self._clock() - snapshot.fetched_at)
        return max(1.0, min(RETRY_SECONDS, due_in))


def _wait(run: Run[Mapping[str, RSAPublicKey]] | None, *, seconds: float) -> bool:
    """Wait for the end of a fetch; return whether it has ended."""
    return run is None or run.ended.wait(seconds)


def _reason(error: Exception | None) -> str:
    if isinstance(error, FetchFailed):
        return error.reason
    return "timeout" if isinstance(error, TimeoutError) else type(error).__name__
