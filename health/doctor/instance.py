"""Examine what Clerk answers: its public keys, its Backend API, the instance of each setting, the clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed, compare_instances
from accounts.clerk.jwks import (
    FETCH_TIMEOUT_SECONDS,
    FetchFailed,
    KeyDocument,
    check_address,
    fetch_document,
    keys_of_pem,
)
from accounts.clerk.publishable import is_secret_key
from accounts.clerk.times import parse_http_date
from accounts.conf import get_issuers, settings
from health.doctor.findings import Finding, error, ok, warning

TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 3.0  # short, because an operator waits
CLOCK_TOLERANCE_SECONDS = 2.0
COMMANDS_CANNOT_RUN = "backfill_users, reconcile_users, sync_user and link_users cannot run."


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKeys:
    """The answer of CLERK_JWKS_URL: its keys or the problem, and by how much our clock is ahead."""

    keys: Collection[RSAPublicKey] = ()
    ids: Collection[str] = ()
    ahead_seconds: float | None = None
    problem: str = ""
    next_step: str = ""


def examine_instance(*, clock: Clock) -> Iterator[Finding]:
    """Fetch Clerk's public keys, call its Backend API, and compare both with the settings."""
    url = settings.CLERK_JWKS_URL
    published = _fetch(url, clock=clock) if url else PublishedKeys()
    pem_keys = _parse_pem()
    if url:
        yield _check_keys(published)
    if published.ahead_seconds is not None:
        yield _check_clock(published.ahead_seconds)
    yield from _check_instance_id(published.ids)
    yield from _check_satellites(published.keys, clock=clock)
    if settings.CLERK_JWT_KEY and published.keys:
        yield _check_pem(pem_keys, published=published.keys)
    # Without any key, an earlier finding has named the cause.
    yield from _check_backend_api(pem_keys if settings.CLERK_JWT_KEY else published.keys)


def _fetch(url: str, *, clock: Clock) -> PublishedKeys:
    try:
        check_address(url, allow_http=settings.DEBUG)
    except ValueError as refusal:
        next_step = "Correct CLERK_PUBLISHABLE_KEY or CLERK_JWKS_URL."
        return PublishedKeys(problem=str(refusal).rstrip("."), next_step=next_step)
    requested_at = clock()
    try:
        document = fetch_document(url, timeout=TIMEOUT_SECONDS)
    except FetchFailed as failure:
        next_step = failure.next_step
        if not url.endswith("/jwks.json"):
            next_step += " The address of Clerk's keys ends in /.well-known/jwks.json."
        return PublishedKeys(problem=failure.reason.replace("_", " "), next_step=next_step)
    ahead_seconds = _measure_clock(document, requested_at=requested_at)
    if document.seconds > FETCH_TIMEOUT_SECONDS:
        problem = f"it took {document.seconds:.1f} s, and a process waits {FETCH_TIMEOUT_SECONDS:.0f} s"
        next_step = "Check the network and the proxy to Clerk."
        return PublishedKeys(ahead_seconds=ahead_seconds, problem=problem, next_step=next_step)
    return PublishedKeys(keys=document.keys.values(), ids=tuple(document.keys), ahead_seconds=ahead_seconds)


def _measure_clock(document: KeyDocument, *, requested_at: datetime) -> float | None:
    """Return by how many seconds our clock is ahead at least (behind: negative), or None if unknown.

    Clerk's Date is from a moment between request and answer, in whole seconds. So the slower the answer, the
    smaller the difference that it can prove.
    """
    date = parse_http_date(document.date)
    if date is None or document.age is not None:
        return None  # an answer with an age is from a cache, and its Date is older
    most = requested_at.timestamp() - date - 0.5 + document.seconds
    return max(most - document.seconds, 0.0) or min(most, 0.0)


def _parse_pem() -> Collection[RSAPublicKey]:
    try:
        return keys_of_pem(settings.CLERK_JWT_KEY) if settings.CLERK_JWT_KEY else ()
    except ValueError:
        return ()


def _check_keys(published: PublishedKeys) -> Finding:
    url = settings.CLERK_JWKS_URL
    if usable := len(published.keys):
        return ok(f"{url} gives {usable} usable key{'s' * (usable > 1)}.")
    what = f"{url} gives no usable key ({published.problem})."
    if settings.CLERK_JWT_KEY:
        why = "CLERK_JWT_KEY verifies tokens without it, but a rotation of the key stays unnoticed."
        return warning(what, why=why, to_do=published.next_step)
    why = "No session token can be verified: every request is 503."
    return error(what, why=why, to_do=published.next_step)


def _check_instance_id(ids: Collection[str]) -> Iterator[Finding]:
    """Compare CLERK_INSTANCE_ID with the ids of the public keys, which begin with the instance's."""
    wanted = settings.CLERK_INSTANCE_ID
    if not wanted or not ids:
        return
    if wanted in ids:
        yield ok("CLERK_INSTANCE_ID is the instance of the public keys.")
        return
    yield error(
        f"CLERK_INSTANCE_ID is not the instance of the public keys, which is {' or '.join(sorted(ids))}.",
        why="Each delivery of this instance is refused: 400 wrong_instance.",
        to_do="Correct CLERK_INSTANCE_ID, or remove it.",
    )


def _check_satellites(keys: Collection[RSAPublicKey], *, clock: Clock) -> Iterator[Finding]:
    """Compare the keys that each of several issuers publishes with those that verify tokens."""
    issuers = get_issuers()
    if len(issuers) == 1 or not keys:
        return
    known = {key.public_numbers() for key in keys}
    for issuer in issuers:
        published = {
            key.public_numbers() for key in _fetch(f"{issuer}/.well-known/jwks.json", clock=clock).keys
        }
        if published and published.isdisjoint(known):
            yield error(
                f"CLERK_ISSUER contains {issuer}, whose keys are not those of CLERK_JWKS_URL.",
                why="It is another instance: each of its tokens is 401 token_unknown_key.",
                to_do="List the domains of one instance only; another one needs a deployment of its own.",
            )


def _check_clock(ahead_seconds: float) -> Finding:
    off, direction = abs(ahead_seconds), "ahead of" if ahead_seconds > 0 else "behind"
    what = f"This machine's clock is {off:.0f} s {direction} Clerk's."
    tolerated = settings.CLERK_CLOCK_SKEW_SECONDS
    why = f"A token is valid for 60 s, and times that are off by more than {tolerated} s are refused."
    to_do = "Turn on time synchronisation (NTP)."
    if off > max(tolerated, CLOCK_TOLERANCE_SECONDS):
        return error(what, why=why, to_do=to_do)
    if off > CLOCK_TOLERANCE_SECONDS:
        return warning(what, why=why, to_do=to_do)
    return ok("This machine's clock agrees with Clerk's.")


def _check_pem(keys: Collection[RSAPublicKey], *, published: Collection[RSAPublicKey]) -> Finding:
    if not keys:
        return ok("CLERK_JWT_KEY does not parse, see above.")
    known = {key.public_numbers() for key in published}
    unknown = [number for number, key in enumerate(keys, start=1) if key.public_numbers() not in known]
    if not unknown:
        return ok(f"All {len(keys)} keys of CLERK_JWT_KEY are published by the instance.")
    return error(
        f"CLERK_JWT_KEY: key {', '.join(map(str, unknown))} of {len(keys)} is not a key of the instance.",
        why="It is of another instance or withdrawn: its tokens are accepted, and others may be refused.",
        to_do="Copy the PEM public key again from Clerk's dashboard, API keys.",
    )


def _check_backend_api(verifying_keys: Collection[RSAPublicKey]) -> Iterator[Finding]:
    key = settings.CLERK_SECRET_KEY
    if not key:
        yield warning(
            "CLERK_SECRET_KEY is not set.",
            why=COMMANDS_CANNOT_RUN,
            to_do="Copy the secret key (sk_...) from Clerk's dashboard, API keys.",
        )
        return
    if not is_secret_key(key):
        return  # a check reports it; it may be the secret of another system, so it is not sent
    try:
        api = ClerkAPI(key, base_url=settings.CLERK_API_URL, timeout=TIMEOUT_SECONDS, patience=RETRY_SECONDS)
        yield ok(f"The Backend API answers: {api.count():,} users.")
        if verifying_keys:
            compare_instances(api, verifying_keys=verifying_keys)
            yield ok("CLERK_SECRET_KEY and the public keys are of one instance.")
    except InstanceUnconfirmed as refusal:
        yield error(refusal.what, why=COMMANDS_CANNOT_RUN, to_do=refusal.next_step)
    except (ClerkAPIError, ValueError) as failure:
        next_step = failure.next_step if isinstance(failure, ClerkAPIError) else "Copy the secret key again."
        what = str(failure).removesuffix(next_step).strip()
        yield error(what, why=COMMANDS_CANNOT_RUN, to_do=next_step)
