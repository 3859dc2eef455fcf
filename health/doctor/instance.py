"""What `clerk_doctor` finds out about Clerk: its keys, the instance of each setting, and the clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings

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
from health.doctor.findings import Finding, error, ok, warning

TIMEOUT = 5.0  # seconds
PATIENCE = 3.0  # seconds: an operator waits for the doctor
CLOCK_TOLERANCE = 2.0  # seconds
HALF_A_SECOND = timedelta(seconds=0.5)
CANNOT_RUN = "backfill_users, reconcile_users, sync_user and link_users cannot run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The answer of CLERK_JWKS_URL: its keys; seconds that our clock is ahead; else the trouble."""

    keys: Collection[RSAPublicKey] = ()
    ahead: float | None = None
    trouble: str = ""
    next_step: str = ""


def examine_instance(*, clock: Clock) -> Iterator[Finding]:
    """Fetch Clerk's public keys, ask its Backend API, and compare both with the settings."""
    url = settings.CLERK_JWKS_URL
    published = _fetch(url, clock=clock) if url else Published()
    if url:
        yield _keys(published)
    if published.ahead is not None:
        yield _clock(published.ahead)
    if settings.CLERK_JWT_KEY and published.keys:
        yield _pem(published.keys)
    yield from _backend_api(published)


def _fetch(url: str, *, clock: Clock) -> Published:
    try:
        check_address(url, allow_http=settings.DEBUG)
    except ValueError as refusal:
        next_step = "Correct CLERK_PUBLISHABLE_KEY or CLERK_JWKS_URL."
        return Published(trouble=str(refusal).rstrip("."), next_step=next_step)
    asked_at = clock()
    try:
        document = fetch_document(url, timeout=TIMEOUT)
    except FetchFailed as failure:
        return Published(trouble=failure.reason.replace("_", " "), next_step=failure.next_step)
    ahead = _ahead(document, asked_at=asked_at)
    if document.seconds > FETCH_TIMEOUT_SECONDS:
        trouble = f"it took {document.seconds:.1f} s, and a process waits {FETCH_TIMEOUT_SECONDS:.0f} s"
        return Published(
            ahead=ahead, trouble=trouble, next_step="Look at the network and the proxy to Clerk."
        )
    return Published(keys=document.keys.values(), ahead=ahead)


def _ahead(document: KeyDocument, *, asked_at: datetime) -> float | None:
    """Return how far our clock is ahead at least: a slow answer proves less, never something false."""
    if document.date is None or document.age is not None:
        return None  # with an age a cache answered: its Date is not now
    try:
        date = parsedate_to_datetime(document.date)
    except ValueError:
        return None
    if date.tzinfo is None:
        return None
    # It was written between question and answer, and cut to whole seconds.
    most = (asked_at - date - HALF_A_SECOND).total_seconds() + document.seconds
    return max(most - document.seconds, 0.0) or min(most, 0.0)


def _keys(published: Published) -> Finding:
    url = settings.CLERK_JWKS_URL
    if usable := len(published.keys):
        return ok(f"{url} gives {usable} usable key{'s' * (usable > 1)}.")
    what = f"{url} gives no usable key ({published.trouble})."
    if settings.CLERK_JWT_KEY:
        why = "CLERK_JWT_KEY verifies without it, but a rotation of the key goes unnoticed."
        return warning(what, why=why, to_do=published.next_step)
    why = "No session token can be verified: every request is 503."
    return error(what, why=why, to_do=published.next_step)


def _clock(ahead: float) -> Finding:
    what = f"This machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Clerk's."
    why = f"A token lives 60 s, and dates off by more than {settings.CLERK_CLOCK_SKEW_SECONDS} s are refused."
    to_do = "Turn on time synchronisation (NTP)."
    if abs(ahead) > max(settings.CLERK_CLOCK_SKEW_SECONDS, CLOCK_TOLERANCE):
        return error(what, why=why, to_do=to_do)
    if abs(ahead) > CLOCK_TOLERANCE:
        return warning(what, why=why, to_do=to_do)
    return ok("This machine's clock agrees with Clerk's.")


def _pem(published: Collection[RSAPublicKey]) -> Finding:
    try:
        keys = keys_of_pem(settings.CLERK_JWT_KEY)
    except ValueError:
        return ok("CLERK_JWT_KEY does not parse, as said above.")
    known = {key.public_numbers() for key in published}
    strangers = [number for number, key in enumerate(keys, start=1) if key.public_numbers() not in known]
    if not strangers:
        return ok(f"All {len(keys)} keys of CLERK_JWT_KEY are published by the instance.")
    return error(
        f"CLERK_JWT_KEY: key {', '.join(map(str, strangers))} of {len(keys)} is not of the instance.",
        why="It is of another instance or withdrawn: its tokens are accepted, and others may be refused.",
        to_do="Copy the PEM public key again from Clerk's dashboard, API keys.",
    )


def _backend_api(published: Published) -> Iterator[Finding]:
    key = settings.CLERK_SECRET_KEY
    if not key:
        yield warning(
            "CLERK_SECRET_KEY is not set.",
            why=CANNOT_RUN,
            to_do="Copy the secret key (sk_...) from Clerk's dashboard, API keys.",
        )
        return
    if not key.startswith(("sk_live_", "sk_test_")):
        yield error(
            "CLERK_SECRET_KEY is no secret key of Clerk's: it does not begin with sk_live_ or sk_test_.",
            why="Clerk refuses it, and it may be a secret meant for another place.",
            to_do="Copy the secret key from Clerk's dashboard, API keys.",
        )
        return
    try:
        api = ClerkAPI(key, base_url=settings.CLERK_API_URL, timeout=TIMEOUT, patience=PATIENCE)
        yield ok(f"The Backend API answers: {api.count():,} users.")
        yield from _one_instance(api, published=published)
    except (ClerkAPIError, ValueError) as trouble:
        next_step = trouble.next_step if isinstance(trouble, ClerkAPIError) else "Copy the secret key again."
        yield error(
            str(trouble).removesuffix(next_step).strip(),
            why=CANNOT_RUN,
            to_do=next_step,
        )


def _one_instance(api: ClerkAPI, *, published: Published) -> Iterator[Finding]:
    verifying_keys = _verifying_keys(published)
    if not verifying_keys:
        return  # named already, by the settings or by the address of the keys
    try:
        compare_instances(api, verifying_keys=verifying_keys)
    except InstanceUnconfirmed as refusal:
        yield error(refusal.what, why=CANNOT_RUN, to_do=refusal.next_step)
    else:
        yield ok("CLERK_SECRET_KEY and the public keys are of one instance.")


def _verifying_keys(published: Published) -> Collection[RSAPublicKey]:
    if not settings.CLERK_JWT_KEY:
        return published.keys
    try:
        return keys_of_pem(settings.CLERK_JWT_KEY)
    except ValueError:
        return ()
