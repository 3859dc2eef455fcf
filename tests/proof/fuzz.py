"""Forged and malformed tokens and deliveries: none is accepted or a server error, and nothing is written."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from django.test import RequestFactory, override_settings

from accounts.clerk.keys import KeyStore, KeysUnavailable, pem_keys
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from accounts.models import User
from devclerk.tokens import Keyring
from devclerk.webhooks import signed_headers
from tests.proof.cases import ISSUER, NOW, PARTY
from tests.proof.corruption import as_header, corrupt_bytes, corrupt_claims, corrupt_headers, corrupt_token
from tests.proof.environment import clerk_instance, empty_database
from tests.proof.site import FRONTEND, Site
from webhooks.models import WebhookEvent
from webhooks.views import clerk_webhook

SECRET = "whsec_" + base64.b64encode(b"a publicly known signing secret").decode()
TOLERANCE_SECONDS = 300


def no_altered_token_is_accepted(*, seed: int, tokens: int = 200_000) -> Mapping[str, object]:
    """Altered tokens are refused with a code and raise no other exception, in process."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    verifier, valid = _verifier_and_tokens()
    results = Counter(_verify(verifier, altered) for altered in _altered(valid, random=random, tokens=tokens))
    assert not results["accepted"], results
    assert all(_verify(verifier, token) == "accepted" for token in valid)
    return {"tokens": tokens, **dict(results.most_common())}


def no_invalid_signed_claims_are_accepted(*, seed: int, tokens: int = 10_000) -> Mapping[str, object]:
    """Claims signed with our key are accepted only if no claim that matters is altered."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    keyring = Keyring()
    verifier = SessionVerifier(pem_keys(keyring.pem), ISSUER, authorized_parties=(PARTY,))
    claims_of_clerk: dict[str, Any] = {
        "iss": ISSUER,
        "azp": PARTY,
        "sub": "user_ada",
        "sid": "sess_1",
        "sts": "active",
    }
    claims_of_clerk |= {"iat": NOW, "nbf": NOW, "exp": NOW + 60}
    results: Counter[str] = Counter()
    for _ in range(tokens):
        claims = corrupt_claims(claims_of_clerk, random=random)
        token = keyring.sign({"alg": "RS256", "kid": keyring.kid, "typ": "JWT"}, claims)
        result = _verify(verifier, token)
        results[result] += 1
        if result == "accepted":
            assert (claims["iss"], claims["azp"]) == (ISSUER, PARTY), claims
            assert claims["exp"] > NOW - 5, claims
            assert verifier.verify(token, now=NOW).user_id == claims["sub"]
    return {"tokens": tokens, **dict(results.most_common())}


def no_altered_token_is_accepted_over_http(*, seed: int, tokens: int = 5_050) -> Mapping[str, object]:
    """Altered tokens over HTTP are answered 401 (400 if the header is invalid), and no row is created."""
    empty_database()
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    with clerk_instance() as clerk, Site(clerk, database=os.environ["DATABASE_URL"], workers=2) as site:
        options: dict[str, Any] = {"issuer": ISSUER, "azp": FRONTEND, "expires": 3600}
        valid = [clerk.mint(f"user_{number}", **options) for number in range(20)]
        # A header has no line ends and no NUL: without them an altered token may equal the genuine one.
        sent = (as_header(token) for token in _altered(valid, random=random, tokens=tokens))
        altered = [token for token in sent if token.strip() not in valid]
        with ThreadPoolExecutor(8) as threads:
            answers = Counter(threads.map(lambda token: _status(site.port, token), altered))
        assert set(answers) <= {400, 401}, answers
        assert not User.objects.exists()
        assert site.me(valid[0]).status_code == 200
    return {
        "tokens": len(altered),
        **{f"answered {status}": count for status, count in sorted(answers.items())},
    }


def a_thousand_unknown_keys_cause_at_most_four_fetches(*, seed: int) -> Mapping[str, object]:
    """1,000 unknown kids cause at most four fetches, 1,000 bad signatures none; known keys keep working."""
    with clerk_instance() as clerk:
        store = KeyStore(clerk.jwks_url, allow_http=True)
        verifier = SessionVerifier(store, clerk.issuer, authorized_parties=(clerk.azp,))
        valid = clerk.mint("user_ada")
        verifier.verify(valid)
        unknown = [clerk.mint("user_ada", header={"kid": f"ins_{seed}_{each}"}) for each in range(1_000)]
        forged = [f"{valid[:-20]}{each:04d}{valid[-16:]}" for each in range(1_000)]
        before = clerk.key_requests
        with ThreadPoolExecutor(16) as threads:
            refused = Counter(threads.map(lambda token: _verify(verifier, token, now=None), unknown))
            fetches = clerk.key_requests - before
            bad = Counter(threads.map(lambda token: _verify(verifier, token, now=None), forged))
        # Two wait for a fetch at a time; all others are 503, which is no refusal.
        assert set(refused) == {"token_unknown_key", "keys_unavailable"}, refused
        assert 1 <= fetches <= 4, fetches
        assert bad == {"token_invalid_signature": 1_000}, bad
        assert clerk.key_requests == before + fetches
        verifier.verify(valid)
    return {"unknown kids": dict(refused), "fetches": fetches, "bad signatures": 1_000, "fetches for them": 0}


def no_altered_delivery_has_an_effect(*, seed: int, deliveries: int = 50_000) -> Mapping[str, object]:
    """Altered deliveries are answered 400 and write nothing, unless a valid signature of the body remains."""
    empty_database()
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    answers, written = Counter[str](), 0
    with override_settings(CLERK_WEBHOOK_SIGNING_SECRET=(SECRET,), CLERK_INSTANCE_ID=""):
        for number in range(deliveries):
            body, headers = sent = _build_delivery(number)
            if random.random() < 0.5:
                headers = corrupt_headers(headers, random=random)
            else:
                body = corrupt_bytes(body, random=random)
            headers = {name: as_header(value) for name, value in headers.items()}
            status = _deliver(body, headers)
            kind = _kind(body, headers, sent=sent)
            # A genuine signature in a format that Svix never sends may be accepted or refused.
            assert status in {"foreign": {400}, "genuine": {200, 400}, "untouched": {200}}[kind], (
                kind,
                status,
            )
            answers[f"{kind}, {status}"] += 1
            written += status == 200
    assert WebhookEvent.objects.count() == written
    assert User.objects.filter(clerk_id__startswith="user_fuzz", first_name="Ada").count() == written
    assert User.objects.count() == written
    return {"deliveries": deliveries, **dict(answers.most_common()), "events and users written": written}


def _verifier_and_tokens() -> tuple[SessionVerifier, Sequence[str]]:
    keyring = Keyring()
    verifier = SessionVerifier(pem_keys(keyring.pem), ISSUER, authorized_parties=(PARTY,))
    return verifier, [keyring.mint(f"user_{each}", issuer=ISSUER, azp=PARTY, now=NOW) for each in range(20)]


def _altered(valid: Sequence[str], *, random: Random, tokens: int) -> Iterator[str]:
    known = set(valid)
    while tokens:
        altered = corrupt_token(valid, random=random)
        # A corruption may restore the token, or only add blanks around it.
        if altered.strip() not in known:
            tokens -= 1
            yield altered


def _verify(verifier: SessionVerifier, token: str, *, now: float | None = NOW) -> str:
    try:
        verifier.verify(token, now=now)
    except InvalidToken as refusal:
        return refusal.reason
    except KeysUnavailable:
        return "keys_unavailable"
    return "accepted"


def _status(port: int, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


def _build_delivery(number: int) -> tuple[bytes, dict[str, str]]:
    body = (
        b'{"object":"event","type":"user.updated","timestamp":%d,"data":{"id":"user_fuzz%d","object":"user",'
        b'"first_name":"Ada","email_addresses":[],"updated_at":%d}}'
    ) % (NOW * 1000, number, NOW * 1000)
    headers = signed_headers(body, secret=SECRET, svix_id=f"msg_{number}")
    return body, {name: value for name, value in headers.items() if name.startswith("svix-")}


def _deliver(body: bytes, headers: dict[str, str]) -> int:
    request = RequestFactory().generic("POST", "/webhooks/clerk", body, "application/json", headers=headers)
    return clerk_webhook(request).status_code


def _kind(body: bytes, headers: dict[str, str], *, sent: tuple[bytes, dict[str, str]]) -> str:
    if (body, headers) == sent:
        return "untouched"
    return "genuine" if _is_genuine(body, headers) else "foreign"


def _is_genuine(body: bytes, headers: dict[str, str]) -> bool:
    """Return whether one of the `v1` signatures is the HMAC of `id.timestamp.body`, as Svix documents it."""
    svix_id, timestamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
    if (
        not svix_id
        or not (timestamp.isascii() and timestamp.isdigit())
        or abs(int(timestamp) - int(time.time())) > TOLERANCE_SECONDS
    ):
        return False
    signed = b".".join((svix_id.encode(), timestamp.encode(), body))
    expected = hmac.digest(base64.b64decode(SECRET[6:]), signed, hashlib.sha256)
    return any(_signature(each) == expected for each in headers.get("svix-signature", "").split(" "))


def _signature(text: str) -> bytes:
    """Return the bytes of one signature, decoded as leniently as Svix does; empty if there are none."""
    version, _, encoded = text.partition(",")
    try:
        return base64.b64decode(encoded) if version == "v1" else b""
    except ValueError:
        return b""
