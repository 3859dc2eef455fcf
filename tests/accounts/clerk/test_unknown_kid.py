"""Key store: ids that are not in the set, within the budget of fetches and in an outage."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.clerk.keys import KeyStore, KeysUnavailable
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.key_stores import wait_until
from tests.accounts.clerk.keyserver import KeyServer, answer, document
from tests.clock import Clock


class SlowClock(Clock):
    """A clock that takes its time to be read."""

    def __call__(self) -> float:
        time.sleep(0.01)
        return self.now


def test_thousand_unknown_kids_cause_four_fetches_at_most(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    before = server.asked
    with ThreadPoolExecutor(16) as threads:
        assert not any(threads.map(store.get_keys, [f"ins_{number}" for number in range(1_000)]))
    assert 1 <= server.asked - before <= 4
    before = server.asked
    clock.now += 61
    for number in range(100):
        assert store.get_keys(f"ins_again_{number}") == ()
    assert server.asked - before == 1
    assert store.get_keys(keyring.kid)


def test_each_rotated_key_is_found_at_its_first_request(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    for _ in range(2):
        assert len(store.get_keys(keyring.rotate())) == 1


def test_parallel_requests_for_one_new_key_spend_one_fetch_of_the_budget(
    server: KeyServer, keyring: Keyring
) -> None:
    store = KeyStore(server.url, allow_http=True, clock=SlowClock())  # the requests meet
    store.get_keys(keyring.kid)
    for rotation in range(4):  # as many as the budget has
        kid, barrier = keyring.rotate(), threading.Barrier(16)
        server.behave = document(keyring.jwks(), after=0.3)

        def ask(_: int, kid: str = kid, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return len(store.get_keys(kid)) == 1

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(ask, range(16)))
        assert server.asked == rotation + 2


def test_unknown_kids_stay_refused_without_503_while_the_jwks_answers(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    for second in range(600):
        clock.now += 1
        assert store.get_keys(f"ins_{second}") == ()
    assert 10 <= server.asked <= 1 + 4 + 10
    assert store.get_keys(keyring.kid)


def test_key_published_during_a_fetch_in_flight_is_found(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    server.behave = document(keyring.jwks(), after=0.3)
    early = threading.Thread(target=store.get_keys, args=("ins_other",))
    early.start()
    assert wait_until(lambda: server.asked == 2)
    kid = keyring.rotate()
    server.behave = document(keyring.jwks())
    assert len(store.get_keys(kid)) == 1
    early.join()


def test_unknown_kid_is_503_until_the_jwks_has_answered_again(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    healthy, server.behave = server.behave, answer(b"", status=503)
    for _ in range(5):  # four fetches and one more, for which the budget has nothing left
        with pytest.raises(KeysUnavailable):
            store.get_keys("ins_unknown")
    server.behave = healthy
    with pytest.raises(KeysUnavailable):
        store.get_keys("ins_unknown")
    clock.now += 60
    assert store.get_keys("ins_unknown") == ()


def test_unknown_kid_with_stale_keys_is_503_while_the_jwks_hangs(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    server.behave = keyserver.hang
    clock.now += 700
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.get_keys("ins_unknown")
    assert time.monotonic() - began < 4  # the server takes ten


def test_unknown_kid_is_503_while_the_jwks_hangs(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    server.behave = keyserver.hang
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.get_keys("ins_unknown")
    assert time.monotonic() - began < 4  # the server takes ten


def test_unknown_kid_waits_two_seconds_for_a_hanging_fetch_and_its_own_together(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    server.behave = keyserver.hang

    def ask() -> None:
        with pytest.raises(KeysUnavailable):
            store.get_keys("ins_other")

    early = threading.Thread(target=ask)
    early.start()
    assert wait_until(lambda: server.asked == 2)
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.get_keys("ins_unknown")
    assert time.monotonic() - began < 2.6  # two fetches one after the other would take almost four
    early.join()
