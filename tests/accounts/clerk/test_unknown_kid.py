"""Key store: ids that are not in the set, within the budget of fetches and in an outage."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from accounts.clerk.keys import KeyStore, KeysUnavailable
from accounts.clerk.unknown_kids import UnknownKids
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.keyserver import KeyServer, answer, document
from tests.clock import Clock
from tests.waiting import wait_until


class SlowClock(Clock):
    """A clock that takes its time to be read."""

    def __call__(self) -> float:
        time.sleep(0.01)
        return self.now


def ask(store: KeyStore, kid: str) -> str:
    """Return "found", "refused" (401) or "undecided" (503)."""
    try:
        return "found" if store.get_keys(kid) else "refused"
    except KeysUnavailable as unavailable:
        return "undecided" if unavailable.is_unknown_key else "no keys"


def test_thousand_unknown_kids_cause_four_fetches_at_most(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    before = server.asked
    with ThreadPoolExecutor(16) as threads:
        answers = set(threads.map(lambda number: ask(store, f"ins_{number}"), range(1_000)))
    assert answers <= {"refused", "undecided"}
    assert 1 <= server.asked - before <= 4
    before, left = server.asked, 4 - (server.asked - before)
    clock.now += 11
    answers = {ask(store, f"ins_again_{number}") for number in range(100)}
    assert answers == {"refused", "undecided"}
    assert server.asked - before == min(left + 1, 4)
    assert store.get_keys(keyring.kid)


def test_eight_forged_kids_before_a_rotation_refuse_no_new_key(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    forged = [ask(store, f"ins_{number}") for number in range(8)]
    assert forged == ["refused"] * 4 + ["undecided"] * 4
    kid = keyring.rotate(keep_old=True)
    for _ in range(3):
        began = time.monotonic()
        assert ask(store, kid) == "undecided"
        assert time.monotonic() - began < 0.5
    clock.now += 10
    assert ask(store, kid) == "found"
    assert server.asked == 1 + 4 + 1


def test_two_requests_wait_for_a_fetch_and_all_others_are_503_at_once(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    kid = keyring.rotate()
    server.behave = document(keyring.jwks(), after=1)
    barrier = threading.Barrier(16)

    def request(_: int) -> tuple[str, bool]:
        barrier.wait()
        began = time.monotonic()
        return ask(store, kid), time.monotonic() - began > 0.5

    with ThreadPoolExecutor(16) as threads:
        answers = sorted(threads.map(request, range(16)))
    assert answers == [("found", True)] * 2 + [("undecided", False)] * 14
    assert server.asked == 2


def test_fetch_that_began_before_the_first_use_refuses_no_key(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    for number in range(3):
        ask(store, f"ins_{number}")
    server.behave = document(keyring.jwks(), after=0.5)
    early = threading.Thread(target=store.get_keys, args=("ins_3",))
    early.start()
    wait_until(lambda: server.asked == 5)
    assert ask(store, "ins_late") == "undecided"  # it has waited for that fetch; the budget has no other
    early.join()
    clock.now += 10
    assert ask(store, "ins_late") == "refused"


def test_refused_kid_is_not_503_in_an_outage(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    assert ask(store, "ins_unknown") == "refused"
    server.behave = answer(b"", status=503)
    clock.now += 30
    assert ask(store, "ins_unknown") == "refused"
    assert ask(store, "ins_other") == "undecided"


def test_refused_kid_is_looked_up_again_every_ten_seconds(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    published = keyring.jwks()
    server.behave = document(published)
    store.get_keys(keyring.kid)
    kid = keyring.rotate(keep_old=True)
    assert [ask(store, kid) for _ in range(5)] == ["refused"] * 5  # used before it was published
    assert server.asked == 2
    server.behave = document(keyring.jwks())
    clock.now += 10
    ask(store, kid)
    wait_until(lambda: ask(store, kid) == "found")
    assert server.asked == 3


def test_key_that_was_found_and_then_withdrawn_is_undecided_at_first(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    for _ in range(4):
        kid = keyring.rotate()
        assert ask(store, kid) == "found"
    keyring.rotate()
    clock.now += 500
    store.get_keys(kid)
    wait_until(lambda: store.status().age_seconds == 0)
    server.behave = answer(b"", status=503)
    assert ask(store, kid) == "undecided"


def test_missing_set_is_no_unknown_key(store: KeyStore, server: KeyServer, keyring: Keyring) -> None:
    server.behave = answer(b"", status=503)
    with pytest.raises(KeysUnavailable) as caught:
        store.get_keys(keyring.kid)
    assert not caught.value.is_unknown_key


def test_first_fetch_decides_about_the_kid_of_its_request(store: KeyStore, server: KeyServer) -> None:
    assert ask(store, "ins_unknown") == "refused"
    assert server.asked == 1


def test_last_1024_kids_are_remembered() -> None:
    kids = UnknownKids()
    for number in range(1_024):
        assert kids.first_seen(f"ins_{number}", fetches_begun=1) == 1
    assert kids.first_seen("ins_0", fetches_begun=2) == 1
    assert kids.first_seen("ins_new", fetches_begun=2) == 2
    assert kids.first_seen("ins_0", fetches_begun=3) == 1  # used lately
    assert kids.first_seen("ins_2", fetches_begun=3) == 1
    assert kids.first_seen("ins_1", fetches_begun=3) == 3


def test_kid_that_is_no_valid_text_is_remembered_and_can_be_forgotten() -> None:
    kids = UnknownKids()
    kids.first_seen("ins_\ud800", fetches_begun=1)
    assert kids.first_seen("ins_\ud800", fetches_begun=2) == 1
    kids.forget(["ins_\ud800", "ins_never_seen"])
    assert kids.first_seen("ins_\ud800", fetches_begun=2) == 2


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

        def request(_: int, kid: str = kid, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            return ask(store, kid)

        with ThreadPoolExecutor(16) as threads:
            assert set(threads.map(request, range(16))) == {"found", "undecided"}
        assert server.asked == rotation + 2


def test_unknown_kids_cause_a_fetch_every_ten_seconds(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    store.get_keys(keyring.kid)
    answers = Counter[str]()
    for second in range(300):
        clock.now += 1
        answers[ask(store, f"ins_{second}")] += 1
    assert 30 <= answers["refused"] == server.asked - 1 <= 4 + 30
    assert answers["undecided"] == 300 - answers["refused"]
    assert store.get_keys(keyring.kid)


def test_key_published_during_a_fetch_in_flight_is_found(
    store: KeyStore, server: KeyServer, keyring: Keyring
) -> None:
    store.get_keys(keyring.kid)
    server.behave = document(keyring.jwks(), after=0.3)
    early = threading.Thread(target=store.get_keys, args=("ins_other",))
    early.start()
    wait_until(lambda: server.asked == 2)
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
    clock.now += 10
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

    early = threading.Thread(target=ask, args=(store, "ins_other"))
    early.start()
    wait_until(lambda: server.asked == 2)
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(KeysUnavailable):
        store.get_keys("ins_unknown")
    assert time.monotonic() - began < 2.6  # two fetches one after the other would take almost four
    early.join()
