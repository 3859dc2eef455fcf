"""The skew of this machine's clock: measured from key fetches, and tokens that it concerns."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from accounts.clerk.clock_skew import ClockSkew, measure_clock
from accounts.clerk.jwks import KeyDocument
from accounts.clerk.keys import KeysStatus, KeyStore, KeysUnavailable, pem_keys
from accounts.clerk.tokens import ClockSkewed, InvalidToken, SessionVerifier, VerificationFailed
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, answer, dated
from tests.clock import Clock
from tests.waiting import wait_until

DATE = formatdate(NOW, usegmt=True)


def measured(at: float, *, date: str | None = DATE, age: str | None = None, seconds: float = 0) -> Any:
    return measure_clock(KeyDocument(keys={}, date=date, age=age, seconds=seconds), requested_at=at)


@pytest.mark.parametrize("ahead", [-86_400, -7, 0, 0.5, 3, 3_600])
def test_clock_is_ahead_of_the_middle_of_the_second_of_the_date(ahead: float) -> None:
    assert measured(NOW + ahead) == ahead - 0.5
    assert measured(NOW + ahead, seconds=2) == ahead + 0.5
    assert measured(NOW + ahead, age="0") == ahead - 0.5


@pytest.mark.parametrize(
    ("ahead", "expected"), [(0.5, 0), (30, 0), (60.5, 0), (61.5, 1), (100.5, 40), (-29.5, -30), (-0.5, -1)]
)
def test_only_a_difference_that_the_age_does_not_explain_counts(ahead: float, expected: float) -> None:
    assert measured(NOW + ahead, age="60") == expected


@pytest.mark.parametrize(
    "date",
    [
        *(None, "", "yesterday", "0", "Fri, 15 Jan 2027", "Fri, 32 Jan 2027 08:00:00 GMT"),
        *("Fri, 15 Jan 99999 08:00:00 GMT", "Fri, 15 Jan 2027 08:00:00", "é", "\0", "9" * 5_000),
        *("Fri, 15 Jan 2027 08:00:00 +99999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT"),
        "Fri, 15 Jan 2107 08:00:00 GMT",
    ],
)
def test_date_that_cannot_be_read_or_believed_says_nothing(date: str | None) -> None:
    assert measured(NOW, date=date) is None


@pytest.mark.parametrize("age", ["", "-5", "1.5", "many", "1e3", "²", "9" * 5_000])
def test_answer_with_a_malformed_age_says_nothing(age: str) -> None:
    assert measured(NOW + 30, age=age) is None


@pytest.mark.parametrize(
    ("measurements", "known"),
    [
        ([30], None),
        ([30, 30.9], 30.9),
        ([-7.1, -7.9], -7.9),
        ([7, 7], None),
        ([30, 0], None),
        ([0, 30, 0.2, 30], None),
        ([30, -30], None),
        ([30, 3_000], None),  # two different nonsenses
        ([30, 510, 990], None),  # a Date that stands still, fetched every eight minutes
        ([30, 30, 30], 30),
        ([30, 30, 1], None),
        ([30, 30, 1, 30], None),
        ([30, None, 30], 30),
        ([30, 30, None], 30),
    ],
)
def test_skew_is_known_when_two_fetches_in_a_row_agree(
    measurements: list[float | None], known: float | None
) -> None:
    skew = ClockSkew(leeway=5)
    for each in measurements:
        skew.record(each)
    assert skew.seconds == known


def fetch_again(store: KeyStore, server: KeyServer, clock: Clock, *, after: float) -> None:
    asked = server.asked
    clock.now += after
    for kid in store._snapshot.keys if store._snapshot else ("ins_any",):
        store.get_keys(kid)
    wait_until(lambda: server.asked == asked + 1)
    wait_until(lambda: store.status().age_seconds == 0)


@pytest.mark.parametrize("ahead", [30, -30, 3_600])
def test_store_confirms_a_skew_after_three_seconds_and_drops_it_within_a_minute(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock, ahead: float
) -> None:
    healthy, server.behave = server.behave, dated(keyring.jwks(), ahead=ahead)
    store.get_keys(keyring.kid)
    assert store.status().clock_skew_seconds is None
    assert store._seconds_until_next_check() == 3
    fetch_again(store, server, clock, after=3.1)
    assert store.status().clock_skew_seconds == pytest.approx(-ahead, abs=1.5)
    server.behave = healthy
    assert store._seconds_until_next_check() == 30
    fetch_again(store, server, clock, after=60.1)
    assert store.status().clock_skew_seconds is None
    assert store._refresh_after_seconds == 480


@pytest.mark.parametrize(
    "behave",
    [
        lambda keys: dated(keys, ahead=6),
        lambda keys: dated(keys, date="Fri, 15 Jan 2027"),
        lambda keys: dated(keys, date="Thu, 01 Jan 1970 00:00:00 GMT"),
        lambda keys: dated(keys, ahead=-60, Age="60"),
        lambda keys: dated(keys, Age="60"),
    ],
    ids=["within the tolerance", "malformed", "absurd", "of a cache", "of a cache that has its own Date"],
)
def test_no_skew_follows(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock, behave: Callable[[Any], Behaviour]
) -> None:
    server.behave = behave(keyring.jwks())
    store.get_keys(keyring.kid)
    for _ in range(2):
        fetch_again(store, server, clock, after=481)
        assert store.status().clock_skew_seconds is None


def test_failing_address_is_not_fetched_more_often_for_the_clock(
    store: KeyStore, server: KeyServer, keyring: Keyring, clock: Clock
) -> None:
    server.behave = dated(keyring.jwks(), ahead=60)
    store.get_keys(keyring.kid)
    server.behave = answer(b"", status=503)
    for _ in range(100):
        clock.now += 4
        store.get_keys(keyring.kid)
        wait_until(lambda: store.status().fetches == {"ok": 1, "failed": 1})
    assert server.asked == 2


def test_store_uses_its_leeway(server: KeyServer, keyring: Keyring, clock: Clock) -> None:
    store = KeyStore(server.url, allow_http=True, leeway=60, clock=clock)
    server.behave = dated(keyring.jwks(), ahead=30)
    store.get_keys(keyring.kid)
    fetch_again(store, server, clock, after=481)
    assert store.status().clock_skew_seconds is None


class SkewedKeys(FixedKeys):
    """The keys of a source that knows the skew of our clock."""

    skew: float | None = None

    def status(self) -> KeysStatus:
        return KeysStatus(mode="fixed", held=True, clock_skew_seconds=self.skew)


def verified(mint: Mint, keyring: Keyring, *, skew: float | None, **options: Any) -> str:
    """Verify at NOW a token that is minted by Clerk's clock, which is `skew` seconds behind ours."""
    keys = SkewedKeys(keyring.jwks())
    keys.skew = skew
    try:
        SessionVerifier(keys, ISSUER, (PARTY,)).verify(mint(**options), now=NOW)
    except InvalidToken as refusal:
        return refusal.reason
    except ClockSkewed:
        return "503"
    return "valid"


@pytest.mark.parametrize(
    ("skew", "options", "result"),
    [
        # Our clock is behind: a new token is from the future.
        (None, {"now": NOW + 30}, "token_not_active_yet"),
        (-30, {"now": NOW + 30}, "503"),
        (-30, {"now": NOW + 9}, "503"),
        (-30, {"now": NOW}, "valid"),
        (-30, {"now": NOW + 300}, "token_not_active_yet"),
        (-30, {"now": NOW + 9, "claims": {"nbf": NOW}}, "503"),
        (None, {"now": NOW + 9, "claims": {"nbf": NOW}}, "token_iat_in_the_future"),
        # Our clock is ahead: a new token has expired.
        (None, {"now": NOW - 90}, "token_expired"),
        (90, {"now": NOW - 90}, "503"),
        (90, {"now": NOW - 200}, "token_expired"),
        (-90, {"now": NOW - 90}, "token_expired"),
        # At the corrected time it would be refused for another reason.
        (90, {"now": NOW - 90, "azp": "https://evil.example.test"}, "token_expired"),
        (90, {"now": NOW - 90, "claims": {"sts": "pending"}}, "token_expired"),
        (90, {"now": NOW, "azp": "https://evil.example.test"}, "token_invalid_authorized_party"),
    ],
)
def test_refusal_by_time_is_503_only_if_the_token_is_valid_at_the_corrected_time(
    mint: Mint, keyring: Keyring, skew: float | None, options: dict[str, Any], result: str
) -> None:
    assert verified(mint, keyring, skew=skew, **options) == result


def test_wrong_clock_is_no_unexpected_error(
    mint: Mint, keyring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    assert issubclass(ClockSkewed, VerificationFailed)  # a caller that knows only this one answers 503 too
    assert verified(mint, keyring, skew=90, now=NOW - 90) == "503"
    assert not caplog.records


def test_key_source_whose_status_fails_is_503_for_an_expired_token(mint: Mint, keyring: Keyring) -> None:
    class Failing(FixedKeys):
        def status(self) -> KeysStatus:
            raise ArithmeticError

    with pytest.raises(KeysUnavailable) as caught:
        SessionVerifier(Failing(keyring.jwks()), ISSUER, (PARTY,)).verify(mint(now=NOW - 90), now=NOW)
    assert caught.value.is_unexpected


def test_pem_keys_measure_nothing(mint: Mint, keyring: Keyring) -> None:
    keys = pem_keys(keyring.pem)
    assert keys.status().clock_skew_seconds is None
    with pytest.raises(InvalidToken, match="token_expired"):
        SessionVerifier(keys, ISSUER, (PARTY,)).verify(mint(now=time.time() - 90))
