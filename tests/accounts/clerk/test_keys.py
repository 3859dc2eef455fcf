"""The key store against a real server: what it fetches, when, and what it does when nothing comes."""

from __future__ import annotations

import base64
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from accounts.clerk.keys import KeysStatus, KeyStore, KeysUnavailable
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, answer, document, serving

HOUR = 3600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class SlowClock(Clock):
    """A clock that takes its time to be read."""

    def __call__(self) -> float:
        time.sleep(0.01)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(keyring: Keyring) -> Iterator[KeyServer]:
    """Serve the keys of the ring as they are."""
    with serving(lambda handler: document(keyring.jwks())(handler)) as server:  # noqa: PLW0108 - as it is then
        yield server
    keyring.reset()


@pytest.fixture
def store(server: KeyServer, clock: Clock) -> KeyStore:
    return KeyStore(server.url, allow_http=True, clock=clock)


def key_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("clerk-keys")}


def settled(condition: Callable[[], bool], *, seconds: float = 15) -> bool:
    """Wait until it is so."""
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.005)
    return condition()


def test_a_key_is_found_by_its_exact_kid(store: KeyStore, server: KeyServer, keyring: Keyring) -> None:
    assert len(store.candidates(keyring.kid)) == 1
    assert store.candidates(keyring.kid.lower() + "x") == ()
    assert store.candidates(None) == ()
    assert server.asked == 2  # the first need, and the unknown kid


def test_known_keys_are_served_without_asking_again(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    for _ in range(1_000):
        assert store.candidates(keyring.kid)
    assert server.asked == 1


def test_a_cold_herd_makes_one_fetch(server: KeyServer, keyring: Keyring) -> None:
    server.behave = document(keyring.jwks(), after=0.2)
    store = KeyStore(server.url, allow_http=True)
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(store.candidates, [keyring.kid] * 64))
    assert all(found)
    assert server.asked == 1


def test_a_thousand_unknown_kids_make_a_handful_of_fetches(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    before = server.asked
    with ThreadPoolExecutor(16) as threads:
        assert not any(threads.map(store.candidates, [f"ins_{number}" for number in range(1_000)]))
    assert 1 <= server.asked - before <= 4
    before = server.asked
    clock.now += 61
    for number in range(100):
        assert store.candidates(f"ins_again_{number}") == ()
    assert server.asked - before == 1
    assert store.candidates(keyring.kid)


def test_two_rotations_in_a_row_are_served_at_the_first_request(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.candidates(keyring.kid)
    for _ in range(2):
        assert len(store.candidates(keyring.rotate())) == 1


def test_a_herd_that_waits_for_one_new_key_spends_one_fetch_of_the_budget(
    server: KeyServer, keyring: Keyring
) -> None:
    store = KeyStore(server.url, allow_http=True, clock=SlowClock())  # so that the whole herd meets in there
    store.candidates(keyring.kid)
    for rotation in range(4):  # as many as the budget has
        kid, barrier = keyring.rotate(), threading.Barrier(16)
        server.behave = document(keyring.jwks(), after=0.3)

        def ask(_: int, kid: str = kid, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return len(store.candidates(kid)) == 1

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(ask, range(16)))
        assert server.asked == rotation + 2


def test_a_flood_of_unknown_kids_never_becomes_our_fault_while_the_address_is_well(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    for second in range(600):
        clock.now += 1
        assert store.candidates(f"ins_{second}") == ()
    assert 10 <= server.asked <= 1 + 4 + 10
    assert store.candidates(keyring.kid)


def test_a_key_that_came_while_a_fetch_was_under_way_is_found(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.candidates(keyring.kid)
    server.behave = document(keyring.jwks(), after=0.3)
    early = threading.Thread(target=store.candidates, args=("ins_nobody",))
    early.start()
    assert settled(lambda: server.asked == 2)
    kid = keyring.rotate()
    server.behave = document(keyring.jwks())
    assert len(store.candidates(kid)) == 1
    early.join()


def test_a_key_that_left_the_set_is_refused_after_the_next_fetch(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    old = keyring.kid
    store.candidates(old)
    store.candidates(keyring.rotate())
    assert store.candidates(old) == ()


def test_a_bad_signature_neither_fetches_nor_evicts(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    verifier = SessionVerifier(store, ISSUER, (PARTY,))
    forged = Keyring().mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": keyring.kid})
    good = keyring.mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW)
    verifier.verify(good, now=NOW)
    for _ in range(100):
        with pytest.raises(InvalidToken, match="token_invalid_signature"):
            verifier.verify(forged, now=NOW)
    verifier.verify(good, now=NOW)
    assert server.asked == 1


USELESS: list[tuple[str, Behaviour]] = [
    ("a hanging server", keyserver.hang),
    ("a body byte by byte", keyserver.drip_body),
    ("a head byte by byte", keyserver.drip_headers),
    ("64 MB", keyserver.flood),
    ("a connection that breaks off", keyserver.reset),
    ("HTML", answer(b"<html>please sign in</html>")),
    ("no JSON", answer(b"{")),
    ("no UTF-8", answer(b"\xff\xfe")),
    ("JSON as deep as the stack", answer(b"[" * 60_000)),
    ("a list", document([])),
    ("no keys", document({"keys": []})),
    ("keys that are none", document({"keys": [None, 1, "x", {}, {"kty": "EC", "kid": "a"}]})),
    ("404", answer(b"{}", status=404)),
    ("500", answer(b"{}", status=500)),
    ("a redirect", answer(b"", status=302, Location="https://clerk.example.test/jwks")),
    ("204", answer(b"", status=204)),
]


@pytest.mark.parametrize("behave", [row[1] for row in USELESS], ids=[row[0] for row in USELESS])
def test_without_a_usable_document_no_key_can_be_had_and_it_is_known_in_time(
    server: KeyServer, keyring: Keyring, behave: Behaviour
) -> None:
    server.behave = behave
    store = KeyStore(server.url, allow_http=True)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable) as caught:
        store.candidates(keyring.kid)
    assert time.monotonic() - began < 4  # the server takes ten
    assert caught.value.retry_after > 0
    assert settled(lambda: store.status().fetches == {"failed": 1})
    assert store.status().last_error
    assert not store.status().held
    # Within the next seconds nobody asks again.
    with pytest.raises(KeysUnavailable):
        store.candidates(keyring.kid)
    assert server.asked == 1


@pytest.mark.parametrize(
    "behave", [keyserver.hang, keyserver.drip_body, keyserver.drip_headers], ids=["hang", "body", "head"]
)
def test_a_fetch_that_was_given_up_leaves_no_thread(
    server: KeyServer, keyring: Keyring, behave: Behaviour
) -> None:
    server.behave = behave
    before = key_threads()
    with pytest.raises(KeysUnavailable):
        KeyStore(server.url, allow_http=True).candidates(keyring.kid)
    assert settled(lambda: key_threads() <= before)


@pytest.mark.parametrize("behave", [row[1] for row in USELESS[4:]], ids=[row[0] for row in USELESS[4:]])
def test_a_failure_keeps_the_old_set(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock, behave: Behaviour
) -> None:
    store.candidates(keyring.kid)
    server.behave = behave
    clock.now += 700
    assert store.candidates(keyring.kid)
    assert settled(lambda: store.status().fetches.get("failed") == 1)
    assert store.candidates(keyring.kid)
    assert (store.status().stale, store.status().age_seconds) == (True, 700)


def test_known_keys_are_served_through_an_outage_and_unharmed_while_a_fetch_hangs(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    server.behave = keyserver.hang
    for _ in range(60):  # half an hour
        clock.now += 30
        began = time.monotonic()
        assert store.candidates(keyring.kid)
        assert time.monotonic() - began < 1  # the fetch takes two
    assert settled(lambda: server.asked >= 2)


def test_keys_are_held_for_a_day_and_no_longer(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    server.behave = answer(b"", status=503)
    clock.now += 24 * HOUR
    assert store.candidates(keyring.kid)
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        store.candidates(keyring.kid)


def test_an_unknown_kid_in_an_outage_is_our_fault_until_the_address_has_answered_again(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    well, server.behave = server.behave, answer(b"", status=503)
    for _ in range(5):  # four fetches and one more, for which the budget has nothing left
        with pytest.raises(KeysUnavailable):
            store.candidates("ins_unknown")
    server.behave = well
    with pytest.raises(KeysUnavailable):
        store.candidates("ins_unknown")
    clock.now += 60
    assert store.candidates("ins_unknown") == ()


def test_an_unknown_kid_is_our_fault_at_the_first_request_after_a_pause_if_the_address_hangs(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    server.behave = keyserver.hang
    clock.now += 700
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.candidates("ins_unknown")
    assert time.monotonic() - began < 4  # the server takes ten


@pytest.mark.parametrize("kid", [None, "", 5, ["ins"], {}])
def test_a_token_that_names_no_key_is_refused_without_asking(server: KeyServer, kid: object) -> None:
    server.behave = answer(b"", status=503)
    assert KeyStore(server.url, allow_http=True).candidates(kid) == ()
    assert server.asked == 0


def test_with_no_key_held_it_is_asked_again_after_five_seconds(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    well, server.behave = server.behave, answer(b"", status=503)
    for after, asked in ((0, 1), (4.9, 1), (0.2, 2)):
        clock.now += after
        with pytest.raises(KeysUnavailable):
            store.candidates(keyring.kid)
        assert server.asked == asked
    server.behave = well
    clock.now += 5
    assert store.candidates(keyring.kid)


def test_a_process_that_can_start_no_thread_serves_what_it_holds_and_recovers(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    old = threading.stack_size(2**47)  # more than there are addresses
    try:
        clock.now += 700
        assert store.candidates(keyring.kid)
        with pytest.raises(KeysUnavailable):
            store.candidates("ins_unknown")
        assert store.status().last_error == "no_thread"
    finally:
        threading.stack_size(old)
    assert len(store.candidates(keyring.rotate())) == 1


def test_the_status_tells_the_age_the_errors_and_the_fetches(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    before = store.status()
    assert (before.mode, before.held, before.age_seconds, before.stale) == ("jwks", False, None, False)
    store.candidates(keyring.kid)
    clock.now += 600
    held = store.status()
    assert (held.held, held.age_seconds, held.stale, held.last_error) == (True, 600, False, None)
    server.behave = answer(b"", status=503)
    clock.now += 1
    store.candidates(keyring.kid)
    assert settled(lambda: store.status().fetches == {"ok": 1, "failed": 1})
    assert (store.status().stale, store.status().last_error) == (True, "status_503")
    assert not store.status().suspect_rotation
    clock.now += 30
    store.candidates(keyring.kid)
    assert settled(lambda: store.status().fetches == {"ok": 1, "failed": 2})
    server.behave = document(keyring.jwks())
    clock.now += 30
    store.candidates(keyring.kid)
    assert settled(lambda: store.status().fetches == {"ok": 2, "failed": 2})
    assert (store.status().stale, store.status().last_error) == (False, None)


def test_an_unknown_kid_waits_two_seconds_at_most(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.candidates(keyring.kid)
    server.behave = keyserver.hang
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.candidates("ins_unknown")
    assert time.monotonic() - began < 4  # the server takes ten


def test_an_unknown_kid_that_meets_a_hanging_fetch_waits_no_longer_for_its_own(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.candidates(keyring.kid)
    server.behave = keyserver.hang

    def ask() -> None:
        with pytest.raises(KeysUnavailable):
            store.candidates("ins_nobody")

    early = threading.Thread(target=ask)
    early.start()
    assert settled(lambda: server.asked == 2)
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.candidates("ins_unknown")
    assert time.monotonic() - began < 2.6  # two fetches one after the other would take almost four
    early.join()


@pytest.mark.parametrize(
    ("age", "pause"), [(0, 30), (450, 30), (460, 20), (479, 1), (479.5, 1), (480, 1), (5000, 1)]
)
def test_the_thread_looks_again_in_time_for_the_refresh(
    store: KeyStore, keyring: Keyring, clock: Clock, age: float, pause: float
) -> None:
    store.candidates(keyring.kid)
    clock.now += age
    assert store._pause() == pause


def test_the_thread_looks_again_in_two_seconds_while_there_is_no_key(store: KeyStore) -> None:
    assert store._pause() == 2


def test_no_thread_keeps_a_process_from_ending(server: KeyServer, keyring: Keyring) -> None:
    server.behave = keyserver.hang
    before = key_threads()
    KeyStore(server.url, allow_http=True).start()
    names = {"clerk-keys", "clerk-keys-flight", "clerk-keys-fetch"}
    assert settled(lambda: {each.name for each in key_threads() - before} == names)
    assert all(each.daemon for each in key_threads())


def test_a_fetch_that_a_request_waits_for_keeps_no_process_from_ending(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    before, seen = key_threads(), list[tuple[str, bool]]()

    def behave(handler: BaseHTTPRequestHandler) -> None:
        seen.extend(sorted((each.name, each.daemon) for each in key_threads() - before))
        document(keyring.jwks())(handler)

    server.behave = behave
    assert store.candidates(keyring.kid)
    assert seen == [("clerk-keys-fetch", True), ("clerk-keys-flight", True)]


def test_a_set_near_the_end_of_its_freshness_is_fetched_again_behind_the_request(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    clock.now += 480
    store.candidates(keyring.kid)
    time.sleep(0.05)
    assert server.asked == 1
    clock.now += 10
    assert store.candidates(keyring.kid)
    assert settled(lambda: server.asked == 2)
    assert settled(lambda: store.status().age_seconds == 0)


def test_a_failed_refresh_is_tried_again_after_half_a_minute(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.candidates(keyring.kid)
    server.behave = answer(b"", status=503)
    clock.now += 500
    for after, asked in ((0, 2), (29, 2), (2, 3)):
        clock.now += after
        store.candidates(keyring.kid)
        assert settled(lambda asked=asked: server.asked == asked)  # type: ignore[misc]
        time.sleep(0.05)
        assert server.asked == asked


def test_the_thread_fetches_before_anybody_asks_and_is_one(server: KeyServer, keyring: Keyring) -> None:
    before = key_threads()
    store = KeyStore(server.url, allow_http=True)
    store.start()
    store.start()
    assert settled(lambda: store.status().held)
    assert settled(lambda: [each.name for each in key_threads() - before] == ["clerk-keys"])
    assert server.asked == 1


def test_the_thread_goes_on_asking_until_there_is_a_key(server: KeyServer) -> None:
    well, server.behave = server.behave, answer(b"", status=503)
    store = KeyStore(server.url, allow_http=True)
    store.start()
    assert settled(lambda: store.status().fetches == {"failed": 1})
    server.behave = well
    assert settled(lambda: store.status().held)


def test_one_bad_key_spoils_no_other(server: KeyServer, store: KeyStore, keyring: Keyring) -> None:
    good = keyring.jwks()["keys"]
    bad = [
        {**good[0], "kid": "enc", "use": "enc"},
        {**good[0], "kid": "ps", "alg": "PS256"},
        {**good[0], "kid": "ops", "key_ops": ["sign"]},
        {**good[0], "kid": "n", "n": "###"},
        {**good[0], "kid": "short", "n": "AQAB"},
        {**good[0], "kid": "e", "e": "AQ"},
        {**good[0], "kid": ["list"]},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
        None,
    ]
    server.behave = document({"keys": [*bad, *good]})
    assert store.candidates(keyring.kid)
    for kid in ("enc", "ps", "ops", "n", "short", "e", "secret"):
        assert store.candidates(kid) == ()


def test_of_two_keys_with_one_kid_the_first_counts(
    server: KeyServer, store: KeyStore, keyring: Keyring
) -> None:
    (key,) = keyring.jwks()["keys"]
    (other,) = Keyring().jwks()["keys"]
    server.behave = document({"keys": [key, {**other, "kid": key["kid"]}]})
    (found,) = store.candidates(keyring.kid)
    assert found.public_numbers().n == int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="), "big")


def test_a_store_takes_no_address_that_is_not_safe() -> None:
    with pytest.raises(ValueError, match="https"):
        KeyStore("http://127.0.0.1/jwks")
    with pytest.raises(ValueError, match="https"):
        KeyStore("http://clerk.example.test/jwks", allow_http=True)
    assert KeyStore("https://clerk.example.test/jwks").status() == KeysStatus(mode="jwks")


FORK = """
import os, sys
from accounts.clerk.keys import KeyStore
store = KeyStore(sys.argv[1], allow_http=True)
store.start()
assert store.candidates(sys.argv[2])
with store._lock:
    child = os.fork()
if child == 0:
    os._exit(0 if store.candidates(sys.argv[2]) and not store.candidates("ins_unknown") else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_worker_has_a_store_of_its_own_that_works(server: KeyServer, keyring: Keyring) -> None:
    root = Path(__file__).parent.parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", FORK, server.url, keyring.kid], cwd=root, timeout=20, check=False
    )
    assert done.returncode == 0
    # The parent's first fetch, the child's thread and its unknown kid.
    assert 2 <= server.asked <= 3


def test_the_thread_leaves_the_shared_random_numbers_alone(store: KeyStore, server: KeyServer) -> None:
    state = random.getstate()
    store.start()
    assert settled(lambda: server.asked == 1)
    time.sleep(0.2)
    assert random.getstate() == state
