"""Key store: the refreshing thread, its fetches, forks and the status."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from accounts.clerk.keys import KeyStore
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.key_stores import key_threads
from tests.accounts.clerk.keyserver import KeyServer, answer, document
from tests.clock import Clock
from tests.waiting import wait_until

Start = Callable[[KeyStore], None]


def test_status_has_the_age_the_last_error_and_the_fetches(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    before = store.status()
    assert (before.mode, before.held, before.age_seconds) == ("jwks", False, None)
    store.get_keys(keyring.kid)
    clock.now += 600
    held = store.status()
    assert (held.held, held.age_seconds, held.last_error) == (True, 600, None)
    server.behave = answer(b"", status=503)
    clock.now += 1
    store.get_keys(keyring.kid)
    wait_until(lambda: store.status().fetches == {"ok": 1, "failed": 1})
    assert (store.status().age_seconds, store.status().last_error) == (601, "status_503")
    assert not store.status().suspect_rotation
    clock.now += 30
    store.get_keys(keyring.kid)
    wait_until(lambda: store.status().fetches == {"ok": 1, "failed": 2})
    server.behave = document(keyring.jwks())
    clock.now += 30
    store.get_keys(keyring.kid)
    wait_until(lambda: store.status().fetches == {"ok": 2, "failed": 2})
    assert (store.status().age_seconds, store.status().last_error) == (0, None)


@pytest.mark.parametrize(
    ("age", "pause"), [(0, 30), (450, 30), (460, 20), (479, 1), (479.5, 1), (480, 1), (5000, 1)]
)
def test_refresher_checks_again_in_time_for_the_refresh(
    store: KeyStore, keyring: Keyring, clock: Clock, age: float, pause: float
) -> None:
    store.get_keys(keyring.kid)
    clock.now += age
    assert store._seconds_until_next_check() == pause


def test_refresher_checks_again_in_two_seconds_without_a_key(store: KeyStore) -> None:
    assert store._seconds_until_next_check() == 2


def test_refresher_and_its_fetch_are_two_daemon_threads(server: KeyServer, start: Start) -> None:
    server.behave = keyserver.hang
    before = key_threads()
    start(KeyStore(server.url, allow_http=True))
    names = {"clerk-keys", "clerk-keys-fetch"}
    wait_until(lambda: {each.name for each in key_threads() - before} == names)
    assert all(each.daemon for each in key_threads())


def test_fetch_of_a_request_is_one_daemon_thread(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    before, seen = key_threads(), list[tuple[str, bool]]()

    def behave(handler: BaseHTTPRequestHandler) -> None:
        seen.extend(sorted((each.name, each.daemon) for each in key_threads() - before))
        document(keyring.jwks())(handler)

    server.behave = behave
    assert store.get_keys(keyring.kid)
    assert seen == [("clerk-keys-fetch", True)]


def test_keys_near_the_end_of_their_freshness_are_fetched_in_the_background(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    clock.now += 480
    store.get_keys(keyring.kid)
    time.sleep(0.05)
    assert server.asked == 1
    clock.now += 10
    assert store.get_keys(keyring.kid)
    wait_until(lambda: server.asked == 2)
    wait_until(lambda: store.status().age_seconds == 0)


def test_failed_refresh_is_retried_after_30_seconds(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    server.behave = answer(b"", status=503)
    clock.now += 500
    for after, asked in ((0, 2), (29, 2), (2, 3)):
        clock.now += after
        store.get_keys(keyring.kid)
        wait_until(lambda asked=asked: server.asked == asked)  # type: ignore[misc]
        time.sleep(0.05)
        assert server.asked == asked


def test_start_fetches_before_the_first_request_with_one_thread(server: KeyServer, start: Start) -> None:
    before = key_threads()
    store = KeyStore(server.url, allow_http=True)
    start(store)
    start(store)
    wait_until(lambda: store.status().held)
    wait_until(lambda: [each.name for each in key_threads() - before] == ["clerk-keys"])
    assert server.asked == 1


def test_refresher_retries_until_there_is_a_key(server: KeyServer, start: Start) -> None:
    healthy, server.behave = server.behave, answer(b"", status=503)
    store = KeyStore(server.url, allow_http=True)
    start(store)
    wait_until(lambda: store.status().fetches == {"failed": 1})
    server.behave = healthy
    wait_until(lambda: store.status().held)


FORK = """
import os, sys
from accounts.clerk.keys import KeyStore
store = KeyStore(sys.argv[1], allow_http=True)
store.start()
assert store.get_keys(sys.argv[2])
with store._lock, store._fetch._lock:
    child = os.fork()
if child == 0:
    os._exit(0 if store.get_keys(sys.argv[2]) and not store.get_keys("ins_unknown") else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_forked_process_fetches_for_itself(server: KeyServer, keyring: Keyring) -> None:
    root = Path(__file__).parent.parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", FORK, server.url, keyring.kid], cwd=root, timeout=20, check=False
    )
    assert done.returncode == 0
    # The parent's first fetch, the child's thread and its unknown kid.
    assert 2 <= server.asked <= 3


def test_refresher_does_not_use_the_shared_random_generator(
    store: KeyStore, server: KeyServer, start: Start
) -> None:
    state = random.getstate()
    start(store)
    wait_until(lambda: server.asked == 1)
    time.sleep(0.2)
    assert random.getstate() == state
