"""The address of the keys hangs, drips, lies, is down: what requests see meanwhile."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import requests

from accounts.clerk.keys import HELD_AT_MOST, RETRY_AT_START, KeyStore, KeysUnavailable
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault, Keyring
from proof.clients import Ask, Load, slowest, table
from proof.site import Site, against, database, wait_until
from proof.stage import clerk_instance
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

BROKEN: Mapping[str, Behaviour] = MappingProxyType(
    {
        "hanging": hang,
        "dripping body": drip_body,
        "dripping head": drip_headers,
        "endless": flood,
        "breaking off": reset,
        "500": answer(b"{}", status=500),
        "elsewhere": answer(b"", status=302, Location="http://127.0.0.1:9/"),
        "not JSON": answer(b"<html>maintenance</html>"),
        "without keys": document({"keys": []}),
        "with a key too small to use": document(
            {"keys": [{"kty": "RSA", "kid": "ins_1", "n": "AQAB", "e": "AQAB"}]}
        ),
    }
)
KNOWN, UNKNOWN, BAD = "known key", "unknown key", "bad signature"
HALF_AN_HOUR = 1800


class MovedClock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def a_misbehaving_key_address_harms_no_known_key(*, seed: int) -> Mapping[str, object]:
    """Whatever the address of the keys does: known keys 200, unknown ones 503; without any key held 503."""
    return misbehave(seed=seed, workers=4, seconds=2, broken=list(BROKEN))


def misbehave(*, seed: int, workers: int, seconds: float, broken: list[str]) -> Mapping[str, object]:
    """Let the address misbehave in each of these ways for so long, before and after the first key."""
    with clerk_instance() as clerk, database() as db, serving(BROKEN[broken[0]]) as keys:
        site = Site(clerk, database=db.url, workers=workers, **against(clerk) | {"CLERK_JWKS_URL": keys.url})
        try:
            site.manage("migrate", "-v0")
            site.start()
            wait_until(lambda: site.get("/health/live").status_code == 200, what="the start")
            questions = _questions(site, clerk)
            with Load(questions, clients=4, seed=seed) as without_key:
                for name in broken:
                    keys.behave = BROKEN[name]
                    time.sleep(seconds)
            _expect(without_key, {(kind, 503, "keys_unavailable") for kind in questions})
            keys.behave = document(clerk.emulator.keyring.jwks())
            recovered = wait_until(lambda: _all_good(site, clerk), what="the recovery")
            time.sleep(2 * RETRY_AT_START)  # a worker that nobody asked looks by itself
            asked = keys.asked
            with Load(questions, clients=6, seed=seed) as with_key:
                for name in broken:
                    keys.behave = BROKEN[name]
                    time.sleep(seconds)
            fetches = keys.asked - asked
        finally:
            site.kill()
        # What cannot be looked up may be a key that was rotated in meanwhile: the fault is not the token's.
        unseen = (UNKNOWN, 503, "keys_unavailable")
        _expect(with_key, {(KNOWN, 200, ""), unseen, (BAD, 401, "token_invalid_signature")})
        unknown = sum(each.kind == UNKNOWN for each in with_key.answers)
        # Four at once and one a minute, in each process.
        assert fetches <= workers * 6, f"{fetches} fetches for {unknown} unknown keys"
    return {
        "ways to misbehave": ", ".join(broken),
        "from the address being well to every worker's first 200": f"{recovered:.1f} s",
        "requests with an unknown key, fetches": f"{unknown}, {fetches} by {workers} workers",
        "longest wait with a known key": slowest(each for each in with_key.answers if each.kind == KNOWN),
        "what clients saw before the first key": table(without_key.answers),
        "what clients saw with keys held": table(with_key.answers),
    }


def _questions(site: Site, clerk: LocalClerk) -> Mapping[str, Ask]:
    person = clerk.person("ada")
    known = site.mint(person)
    foreign = Keyring().mint(person, issuer=clerk.issuer, azp=None, header={"kid": clerk.kid}, expires=3600)

    def ask_unknown(chance: random.Random) -> requests.Response:
        return site.me(site.mint(person, fault=Fault.UNKNOWN_KID))

    return {
        KNOWN: lambda _: site.me(known),
        BAD: lambda _: site.me(foreign),
        UNKNOWN: ask_unknown,
    }


def _all_good(site: Site, clerk: LocalClerk) -> bool:
    token = site.mint("user_recovered")
    return all(site.me(token).status_code == 200 for _ in range(20))


def _expect(load: Load, allowed: set[tuple[str, int, str]]) -> None:
    seen = {(each.kind, each.status, each.code) for each in load.answers}
    assert seen == allowed, table(load.answers)


def known_keys_outlive_half_an_hour_without_their_address(*, seed: int) -> Mapping[str, object]:
    """Half an hour of moved clock without the address: known keys are served at once, by few fetches."""
    figures: dict[str, object] = {}
    for name in ("hanging", "500", "not JSON"):
        figures[f"address {name}"] = outlive(BROKEN[name])
    return figures


def outlive(broken: Behaviour) -> str:
    """Serve a known key every ten seconds of that half an hour, amid unknown ones; say what it cost."""
    clock = MovedClock()
    with clerk_instance() as clerk, serving(document(clerk.emulator.keyring.jwks())) as server:
        store = KeyStore(server.url, allow_http=True, clock=clock)
        verifier = SessionVerifier(keys=store, issuer=clerk.issuer, authorized_parties=(clerk.azp,))
        begin = time.time()
        person = clerk.person("ada")
        verifier.verify(clerk.mint(person, now=begin), now=begin)
        server.behave, server.asked = broken, 0
        waits, endings = [], Counter[str]()
        for second in range(10, HALF_AN_HOUR + 10, 10):
            clock.seconds += 10
            moment = begin + second
            token = clerk.mint(person, now=moment)
            asked = time.perf_counter()
            assert verifier.verify(token, now=moment).user_id == person.id
            waits.append(time.perf_counter() - asked)
            if second % 100 == 0:
                unknown = clerk.mint(person, now=moment, fault=Fault.UNKNOWN_KID)
                ending = _ending(verifier, unknown, now=moment)
                assert ending == "503"
                endings[ending] += 1
        fetches = server.asked
        assert max(waits) < 1, f"a known key waited {max(waits):.2f} s"
        assert fetches <= HALF_AN_HOUR / 30 + 4 + HALF_AN_HOUR / 60
        clock.seconds += HELD_AT_MOST
        server.behave = answer(b"{}", status=500)
        late = begin + HALF_AN_HOUR + HELD_AT_MOST
        assert _ending(verifier, clerk.mint(person, now=late), now=late) == "503", "trusted for over a day"
    return (
        f"{len(waits)} x good, longest wait {max(waits) * 1000:.0f} ms; unknown keys {dict(endings)}; "
        f"{fetches} fetches; no longer trusted after {HELD_AT_MOST / 3600:.0f} h"
    )


def _ending(verifier: SessionVerifier, token: str, *, now: float) -> str:
    try:
        verifier.verify(token, now=now)
    except InvalidToken as invalid:
        return "401" if invalid.reason == "token_unknown_key" else invalid.reason
    except KeysUnavailable:
        return "503"
    return "200"
