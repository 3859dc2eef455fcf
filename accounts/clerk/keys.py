"""The keys that may have signed a session token: from Clerk's JWKS address, or from configured PEM texts."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.clock_skew import ClockSkew, measure_clock
from accounts.clerk.jwks import FETCH_TIMEOUT_SECONDS, FetchFailed, KeyDocument, check_address, fetch_document
from accounts.clerk.key_source import KeySource, KeysStatus, KeysUnavailable
from accounts.clerk.pem import PemKeys, pem_keys
from accounts.clerk.single_flight import Run, SingleFlight
from accounts.clerk.token_bucket import TokenBucket
from accounts.clerk.unknown_kids import UnknownKids

__all__ = ["KeySource", "KeyStore", "KeysStatus", "KeysUnavailable", "PemKeys", "pem_keys"]

REFRESH_AFTER_SECONDS = 480.0
MAX_AGE_SECONDS = 24 * 3600.0
MAX_WAIT_SECONDS = 2.0
RETRY_SECONDS = 30.0
RETRY_WITHOUT_KEY_SECONDS = 5.0  # for a request that finds no key
RETRY_AT_START_SECONDS = 2.0  # for the refreshing thread while there is no key
UNKNOWN_KID_FETCHES, SECONDS_PER_UNKNOWN_KID_FETCH = 4, 10.0
UNKNOWN_KID_WAITERS = 2
JITTER = random.SystemRandom()  # applications may seed the shared generator


@dataclass(frozen=True, slots=True)
class _Snapshot:
    keys: Mapping[str, RSAPublicKey]
    fetched_at: float
    fetch: int  # the number of the fetch


def _call_if_alive(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    if (bound := method()) is not None:
        bound()


class KeyStore:
    """The keys of a JWKS address, fetched ahead of need.

    Readers use an immutable snapshot without a lock. One background thread refreshes it; a failure keeps the
    old set, for 24 hours at most. Raises ValueError for an address that is not https.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_http: bool = False,
        leeway: float = 5,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        check_address(url, allow_http=allow_http)
        self._url, self._clock, self._wall_clock = url, clock, wall_clock
        self._snapshot: _Snapshot | None = None
        self._fetches_begun = 0  # never set back: the child of a fork keeps the snapshot with its number
        self._clock_skew = ClockSkew(leeway=leeway)
        self._refresh_after_seconds = REFRESH_AFTER_SECONDS
        self._last_error: str | None = None
        self._results: Counter[str] = Counter()
        self._reset()
        os.register_at_fork(after_in_child=partial(_call_if_alive, weakref.WeakMethod(self._after_fork)))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._fetch = SingleFlight(
            partial(fetch_document, self._url),
            name="clerk-keys-fetch",
            on_end=self._record_fetch,
            max_seconds=FETCH_TIMEOUT_SECONDS,
        )
        self._fetch_began_at, self._requested_at = float("-inf"), 0.0
        self._budget = TokenBucket(
            capacity=UNKNOWN_KID_FETCHES, seconds_per_token=SECONDS_PER_UNKNOWN_KID_FETCH, clock=self._clock
        )
        self._unknown_kids = UnknownKids()
        self._waiters = threading.BoundedSemaphore(UNKNOWN_KID_WAITERS)
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

        Raises KeysUnavailable without a usable set, and for an unknown id that no fetch has decided yet.
        """
        if not isinstance(kid, str) or not kid:
            return ()
        snapshot = self._current()
        if snapshot is None:
            return self._get_first_key(kid)
        if self._is_due():
            self._start_fetch(permitted=self._is_due)
        key = snapshot.keys.get(kid)
        if key is not None:
            return (key,)
        return self._get_unknown_key(kid, seen=self._see(kid), until=_in(MAX_WAIT_SECONDS))

    def record_result(self, *, good: bool) -> None:
        """Do nothing: a rotation shows as an unknown `kid`."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""
        snapshot = self._snapshot
        age = None if snapshot is None else self._clock() - snapshot.fetched_at
        return KeysStatus(
            mode="jwks",
            age_seconds=age,
            held=snapshot is not None,
            last_error=self._last_error,
            fetches=dict(self._results),
            clock_skew_seconds=self._clock_skew.seconds,
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
        after = self._refresh_after_seconds
        age = self._clock() - snapshot.fetched_at
        return age > after and self._is_fetch_older_than(min(RETRY_SECONDS, after))

    def _is_fetch_older_than(self, seconds: float) -> bool:
        return self._clock() - self._fetch_began_at >= seconds

    def _get_first_key(self, kid: str) -> Sequence[RSAPublicKey]:
        """Wait for the first set; it also decides about the id, if its fetch begins now."""
        until = _in(MAX_WAIT_SECONDS)
        seen = self._see(kid)
        _wait(
            self._start_fetch(permitted=partial(self._is_fetch_older_than, RETRY_WITHOUT_KEY_SECONDS)),
            until=until,
        )
        if self._current() is None:
            raise KeysUnavailable
        return self._get_unknown_key(kid, seen=seen, until=until)

    def _get_unknown_key(self, kid: str, *, seen: int, until: float) -> Sequence[RSAPublicKey]:
        """Return the key if a fetch brings it, none if one has not brought it; else raise KeysUnavailable.

        Note [An unknown key]
        It may be a key that Clerk has just begun to use, or one that a stranger made up. Only a fetch that
        began after its first use decides: until then it is 503, not 401, so that neither an outage of the
        address nor forged ids before a rotation sign users out. Forged ids must not hold the threads either:
        two requests wait, all others are 503 at once, and the fetches have a budget.
        """
        found = self._decide(kid, seen=seen)
        if found is None:
            is_waiter = self._waiters.acquire(blocking=False)
            try:
                self._fetch_unknown_key(kid, seen=seen, until=until if is_waiter else 0.0)
            finally:
                if is_waiter:
                    self._waiters.release()
            found = self._decide(kid, seen=seen)
        if found is None:
            unavailable = KeysUnavailable()
            unavailable.is_unknown_key = True
            raise unavailable
        if not found:  # perhaps a key that was used before it was published
            self._start_fetch(permitted=self._may_look_again)
        return found

    def _see(self, kid: str) -> int:
        return self._unknown_kids.first_seen(kid, fetches_begun=self._fetches_begun)

    def _decide(self, kid: str, *, seen: int) -> Sequence[RSAPublicKey] | None:
        """Return the key, none if a fetch since the first use has not brought it, or None if undecided."""
        snapshot = self._current()
        if snapshot is None:
            return None
        key = snapshot.keys.get(kid)
        if key is not None:
            return (key,)
        return () if snapshot.fetch > seen else None

    def _fetch_unknown_key(self, kid: str, *, seen: int, until: float) -> None:
        # A fetch in flight may have begun before the first use: then it decides only if it brings the key.
        _wait(self._fetch.join(), until=until)

        def may_start() -> bool:
            return self._decide(kid, seen=seen) is None and self._budget.take()

        if self._decide(kid, seen=seen) is None:
            _wait(self._start_fetch(permitted=may_start), until=until)

    def _may_look_again(self) -> bool:
        return self._is_fetch_older_than(SECONDS_PER_UNKNOWN_KID_FETCH) and self._budget.take()

    def _start_fetch(self, *, permitted: Callable[[], bool]) -> Run[KeyDocument] | None:
        """Join the fetch in flight, or start one if that is permitted; return None if neither.

        The permission is asked once: many requests that need one new key spend one fetch of the budget.
        """

        def may_start() -> bool:
            if not permitted():
                return False
            self._fetch_began_at, self._requested_at = self._clock(), self._wall_clock()
            self._fetches_begun += 1
            return True

        try:
            return self._fetch.join_or_start(permitted=may_start)
        except RuntimeError:  # the process has no more threads: the set that is held stays in use
            self._record_failure("no_thread")
            return None

    def _record_fetch(self, run: Run[KeyDocument]) -> None:
        if run.result is not None:
            keys = MappingProxyType(dict(run.result.keys))
            self._snapshot = _Snapshot(keys, self._fetch_began_at, self._fetches_begun)
            self._unknown_kids.forget(keys)
            self._clock_skew.record(measure_clock(run.result, requested_at=self._requested_at))
            self._refresh_after_seconds = self._clock_skew.recheck_seconds or REFRESH_AFTER_SECONDS
            self._last_error = None
            self._results["ok"] += 1
        else:
            self._record_failure(_reason(run.error))

    def _record_failure(self, reason: str) -> None:
        self._last_error = reason
        self._refresh_after_seconds = REFRESH_AFTER_SECONDS
        self._results["failed"] += 1

    def _refresh(self) -> None:
        while self._refresher is threading.current_thread():
            if self._is_due():
                _wait(self._start_fetch(permitted=self._is_due), until=_in(MAX_WAIT_SECONDS))
            time.sleep(self._seconds_until_next_check() * JITTER.uniform(0.8, 1.0))

    def _seconds_until_next_check(self) -> float:
        snapshot = self._current()
        if snapshot is None:
            return RETRY_AT_START_SECONDS
        due_in = self._refresh_after_seconds - (self._clock() - snapshot.fetched_at)
        return max(1.0, min(RETRY_SECONDS, due_in))


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def _wait(run: Run[KeyDocument] | None, *, until: float) -> None:
    """Wait for the end of a fetch until this monotonic time."""
    if run is not None:
        run.ended.wait(max(0.0, until - time.monotonic()))


def _reason(error: Exception | None) -> str:
    if isinstance(error, FetchFailed):
        return error.reason
    return "timeout" if isinstance(error, TimeoutError) else type(error).__name__
