"""The doctor's view of Clerk: the keys are there, all are of one instance, the clocks agree."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import requests
from django.conf import settings

from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.jwks import check_address
from accounts.clerk.keys import KeyStore, KeysUnavailable, pem_keys
from accounts.runs import Clock
from health.findings import Finding, error, ok, warning

TIMEOUT = 5.0  # seconds
PATIENCE = 3.0  # seconds: somebody waits for the doctor
CLOCK_TOLERANCE = 2.0  # seconds
HALF_A_SECOND = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the address of the public keys answered: moduli by `kid`; seconds that our clock is ahead."""

    moduli: dict[str, int]
    ahead: float | None = None
    trouble: str = ""


def examine_instance(*, clock: Clock) -> Iterator[Finding]:
    """Ask Clerk's public keys and its Backend API, and compare what they say with the settings."""
    url = settings.CLERK_JWKS_URL
    published = _fetch(url, clock=clock) if url else Published(moduli={})
    if url:
        yield _keys(published)
    if published.ahead is not None:
        yield _clock(published.ahead)
    if settings.CLERK_JWT_KEY and published.moduli:
        yield _pem(published)
    yield from _backend_api(published)


def _fetch(url: str, *, clock: Clock) -> Published:
    try:
        check_address(url, allow_http=settings.DEBUG)
    except ValueError as refusal:
        return Published(moduli={}, trouble=str(refusal).rstrip("."))
    asked_at = clock()
    try:
        response = requests.get(url, timeout=TIMEOUT, allow_redirects=False)
        response.raise_for_status()
        keys = response.json()["keys"]
        moduli = _moduli(keys)
    except requests.RequestException as trouble:
        status = "" if trouble.response is None else f" {trouble.response.status_code}"
        return Published(moduli={}, trouble=f"{type(trouble).__name__}{status}")
    except (KeyError, TypeError, AttributeError):
        return Published(moduli={}, trouble="the answer is no key set")
    return Published(moduli=moduli, ahead=_ahead(response, asked_at=asked_at))


def _moduli(keys: Iterable[dict[str, str]]) -> dict[str, int]:
    """Read RSA moduli out of a key set; whatever else is in it is passed over."""
    moduli = {}
    for key in keys:
        try:
            text = key["n"]
            moduli[key["kid"]] = int.from_bytes(
                base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big"
            )
        except (KeyError, TypeError, ValueError):
            continue
    return moduli


def _ahead(response: requests.Response, *, asked_at: datetime) -> float | None:
    """Say how far our clock is ahead at least: a slow answer proves less, never something false."""
    if "Age" in response.headers:
        return None  # a cache answered: its Date is not now
    try:
        date = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return None
    if date.tzinfo is None:
        return None
    # It was written between question and answer, and cut to whole seconds.
    most = (asked_at + response.elapsed - date - HALF_A_SECOND).total_seconds()
    least = most - response.elapsed.total_seconds()
    return max(least, 0.0) or min(most, 0.0)


def _keys(published: Published) -> Finding:
    url = settings.CLERK_JWKS_URL
    usable = 0 if published.trouble else _usable(published)
    if usable:
        return ok(f"{url} gives {usable} usable key{'s' * (usable > 1)}.")
    what = f"{url} gives no usable key ({published.trouble or 'none is an RSA signing key'})."
    to_do = "See that this machine reaches the address; if it is wrong, correct CLERK_PUBLISHABLE_KEY."
    if settings.CLERK_JWT_KEY:
        return warning(
            what, why="CLERK_JWT_KEY verifies without it, but nobody sees a rotation.", to_do=to_do
        )
    return error(what, why="No session token can be verified: every request is 503.", to_do=to_do)


def _usable(published: Published) -> int:
    """Count the keys that the verifier itself would use."""
    store = KeyStore(settings.CLERK_JWKS_URL, allow_http=settings.DEBUG)
    try:
        return sum(bool(store.get_keys(kid)) for kid in published.moduli)
    except (KeysUnavailable, ValueError):
        return 0


def _clock(ahead: float) -> Finding:
    what = f"This machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Clerk's."
    why = f"A token lives 60 s, and dates off by more than {settings.CLERK_CLOCK_SKEW_SECONDS} s are refused."
    to_do = "Turn on time synchronisation (NTP)."
    if abs(ahead) > max(settings.CLERK_CLOCK_SKEW_SECONDS, CLOCK_TOLERANCE):
        return error(what, why=why, to_do=to_do)
    if abs(ahead) > CLOCK_TOLERANCE:
        return warning(what, why=why, to_do=to_do)
    return ok("This machine's clock agrees with Clerk's.")


def _pem(published: Published) -> Finding:
    try:
        keys = pem_keys(settings.CLERK_JWT_KEY).get_keys(None)
    except ValueError:
        return ok("CLERK_JWT_KEY does not parse, as said above.")
    known = set(published.moduli.values())
    strangers = [number for number, key in enumerate(keys, start=1) if key.public_numbers().n not in known]
    if not strangers:
        return ok(f"All {len(keys)} keys of CLERK_JWT_KEY are published by the instance.")
    return error(
        f"CLERK_JWT_KEY: key {', '.join(map(str, strangers))} of {len(keys)} is not of the instance.",
        why="It is of another instance or withdrawn: its tokens should not be accepted, or nobody's are.",
        to_do="Copy the PEM public key again from Clerk's dashboard, API keys.",
    )


def _backend_api(published: Published) -> Iterator[Finding]:
    key = settings.CLERK_SECRET_KEY
    if not key:
        yield warning(
            "CLERK_SECRET_KEY is not set.",
            why="backfill_users, reconcile_users, sync_user and link_users cannot run.",
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
            why="backfill_users, reconcile_users, sync_user and link_users cannot run.",
            to_do=next_step,
        )


def _one_instance(api: ClerkAPI, *, published: Published) -> Iterator[Finding]:
    if not published.moduli:
        return
    theirs = set(_moduli(api.jwks()).values())
    if theirs & set(published.moduli.values()):
        yield ok("CLERK_SECRET_KEY and the public keys are of one instance.")
    else:
        yield error(
            "CLERK_SECRET_KEY belongs to another instance than the public keys that verify tokens.",
            why="The commands would bring in the people of the wrong one, and take the right ones for gone.",
            to_do="Copy CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY from the same page of Clerk's dashboard.",
        )
