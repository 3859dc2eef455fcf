"""The JWKS address hangs, answers slowly or wrongly, or is down: the responses to requests meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import requests

from accounts.clerk.keys import (
    MAX_AGE_SECONDS,
    RETRY_AT_START_SECONDS,
    SECONDS_PER_UNKNOWN_KID_FETCH,
    KeyStore,
    KeysUnavailable,
)
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault, Keyring
from tests.accounts.clerk.keyserver import (
    Behaviour,
    answer,
    document,
    drip_body,
    drip_headers,
    flood,
    hang,
    reset,
    serving,
)
from tests.proof.clients import Load, Send, format_slowest, format_table
from tests.proof.environment import clerk_instance
from tests.proof.site import Site, database, emulator_settings, wait_until

BROKEN: Mapping[str, Behaviour] = MappingProxyType(
    {
        "hanging": hang,
        "slow body": drip_body,
        "slow header": drip_headers,
        "endless": flood,
        "connection reset": reset,
        "500": answer(b"{}", status=500),
        "redirect": answer(b"", status=302, Location="http://127.0.0.1:9/"),
        "not JSON": answer(b"<html>maintenance</html>"),
        "without keys": document({"keys": []}),
        "with a key too small to use": document(
            {"keys": [{"kty": "RSA", "kid": "ins_1", "n": "AQAB", "e": "AQAB"}]}
        ),
    }
)
KNOWN, UNKNOWN, BAD = "known key", "unknown key", "bad signature"
HALF_AN_HOUR_SECONDS = 1800


class ManualClock:
    """A monotonic clock that is advanced by assignment."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def a_misbehaving_jwks_address_affects_no_known_key(*, seed: int) -> Mapping[str, object]:
    """With a failing JWKS address: known keys are answered 200 and unknown ones 503; without any key 503."""
    return break_jwks_address(seed=seed, workers=4, seconds=2, broken=list(BROKEN))


def break_jwks_address(*, seed: int, workers: int, seconds: float, broken: list[str]) -> Mapping[str, object]:
    """Fail in each of these ways for this time, before and after the first successful fetch."""
    with clerk_instance() as clerk, database() as db, serving(BROKEN[broken[0]]) as keys:
        site = Site(
            clerk, database=db.url, workers=workers, **emulator_settings(clerk) | {"CLERK_JWKS_URL": keys.url}
        )
        try:
            site.manage("migrate", "-v0")
            site.start()
            wait_until(lambda: site.get("/health/live").status_code == 200, what="the start")
            requests_by_kind = _build_requests(site, clerk)
            with Load(requests_by_kind, clients=4, seed=seed) as without_keys:
                for name in broken:
                    keys.behave = BROKEN[name]
                    time.sleep(seconds)
            _assert_answers(without_keys, {(kind, 503, "keys_unavailable") for kind in requests_by_kind})
            keys.behave = document(clerk.emulator.keyring.jwks())
            recovered = wait_until(lambda: _are_all_ok(site, clerk), what="the recovery")
            time.sleep(2 * RETRY_AT_START_SECONDS)  # a worker without requests fetches by itself
            fetches_before = keys.asked
            # Before the load: one fetch with a good answer would make an unknown key 401, rightly.
            keys.behave = BROKEN[broken[0]]
            with Load(requests_by_kind, clients=6, seed=seed) as with_keys:
                for name in broken:
                    keys.behave = BROKEN[name]
                    time.sleep(seconds)
            fetches = keys.asked - fetches_before
        finally:
            site.kill()
        # A key that cannot be fetched may be a new one: the fault is not the token's.
        unavailable = (UNKNOWN, 503, "keys_unavailable")
        _assert_answers(with_keys, {(KNOWN, 200, ""), unavailable, (BAD, 401, "token_invalid_signature")})
        unknown = sum(each.kind == UNKNOWN for each in with_keys.answers)
        # At most four at once and one every ten seconds in each process.
        limit = workers * (4 + len(broken) * seconds / SECONDS_PER_UNKNOWN_KID_FETCH + 1)
        assert fetches <= limit, f"{fetches} fetches for {unknown} unknown keys"
    return {
        "faults": ", ".join(broken),
        "from the recovery of the address to the first 200 of every worker": f"{recovered:.1f} s",
        "requests with an unknown key, fetches": f"{unknown}, {fetches} by {workers} workers",
        "longest request with a known key": format_slowest(
            each for each in with_keys.answers if each.kind == KNOWN
        ),
        "responses before the first key": format_table(without_keys.answers),
        "responses with cached keys": format_table(with_keys.answers),
    }


def _build_requests(site: Site, clerk: LocalClerk) -> Mapping[str, Send]:
    user = clerk.person("ada")
    known = site.mint(user)
    foreign = Keyring().mint(user, issuer=clerk.issuer, azp=None, header={"kid": clerk.kid}, expires=3600)

    def send_unknown(rng: random.Random) -> requests.Response:
        return site.me(site.mint(user, fault=Fault.UNKNOWN_KID))

    return {
        KNOWN: lambda _: site.me(known),
        BAD: lambda _: site.me(foreign),
        UNKNOWN: send_unknown,
    }


def _are_all_ok(site: Site, clerk: LocalClerk) -> bool:
    token = site.mint("user_recovered")
    return all(site.me(token).status_code == 200 for _ in range(20))


def _assert_answers(load: Load, allowed: set[tuple[str, int, str]]) -> None:
    seen = {(each.kind, each.status, each.code) for each in load.answers}
    assert seen == allowed, format_table(load.answers)


def known_keys_are_served_half_an_hour_without_the_jwks_address(*, seed: int) -> Mapping[str, object]:
    """With the address down for half an hour (manual clock), known keys work at once, with few fetches."""
    figures: dict[str, object] = {}
    for name in ("hanging", "500", "not JSON"):
        figures[f"address {name}"] = serve_known_keys(BROKEN[name])
    return figures


def serve_known_keys(broken: Behaviour) -> str:
    """Verify a known key every ten seconds of half an hour, and unknown ones; return the cost as text."""
    clock = ManualClock()
    with clerk_instance() as clerk, serving(document(clerk.emulator.keyring.jwks())) as server:
        store = KeyStore(server.url, allow_http=True, clock=clock)
        verifier = SessionVerifier(keys=store, issuer=clerk.issuer, authorized_parties=(clerk.azp,))
        begin = time.time()
        user = clerk.person("ada")
        verifier.verify(clerk.mint(user, now=begin), now=begin)
        server.behave, server.asked = broken, 0
        durations, results = [], Counter[str]()
        for second in range(10, HALF_AN_HOUR_SECONDS + 10, 10):
            clock.seconds += 10
            moment = begin + second
            token = clerk.mint(user, now=moment)
            started = time.perf_counter()
            assert verifier.verify(token, now=moment).user_id == user.id
            durations.append(time.perf_counter() - started)
            if second % 100 == 0:
                unknown = clerk.mint(user, now=moment, fault=Fault.UNKNOWN_KID)
                result = _verify(verifier, unknown, now=moment)
                assert result == "503"
                results[result] += 1
        fetches = server.asked
        assert max(durations) < 1, f"a request with a known key took {max(durations):.2f} s"
        # The refresh every 30 s; and of the unknown keys, which come every 100 s, each may fetch.
        assert fetches <= HALF_AN_HOUR_SECONDS / 30 + HALF_AN_HOUR_SECONDS / 100
        clock.seconds += MAX_AGE_SECONDS
        server.behave = answer(b"{}", status=500)
        late = begin + HALF_AN_HOUR_SECONDS + MAX_AGE_SECONDS
        assert _verify(verifier, clerk.mint(user, now=late), now=late) == "503", (
            "a key is trusted for more than a day"
        )
    return (
        f"{len(durations)} x valid, slowest {max(durations) * 1000:.0f} ms; unknown keys {dict(results)}; "
        f"{fetches} fetches; not trusted after {MAX_AGE_SECONDS / 3600:.0f} h"
    )


def _verify(verifier: SessionVerifier, token: str, *, now: float) -> str:
    try:
        verifier.verify(token, now=now)
    except InvalidToken as invalid:
        return "401" if invalid.reason == "token_unknown_key" else invalid.reason
    except KeysUnavailable:
        return "503"
    return "200"
