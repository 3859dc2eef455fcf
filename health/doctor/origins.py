"""Compare the settings that can refuse the tokens of a frontend: allowed origins, issuers and audience."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings as django_settings

from accounts.clerk.publishable import frontend_api
from accounts.conf import get_authorized_parties, get_issuers, settings
from health.doctor.findings import Finding, ok, warning


def examine_origins() -> Iterator[Finding]:
    """Compare the origins that CORS allows with those whose tokens are accepted."""
    accepted = get_authorized_parties()
    allowed = getattr(django_settings, "CORS_ALLOWED_ORIGINS", None)
    if accepted is None or allowed is None:
        return  # a check warns that any origin is accepted, or another program answers preflights
    refused = [origin for origin in allowed if origin not in accepted]
    blocked = [origin for origin in settings.CLERK_AUTHORIZED_PARTIES if origin not in allowed]
    if refused:
        yield warning(
            f"CORS_ALLOWED_ORIGINS has origins that CLERK_AUTHORIZED_PARTIES lacks: {', '.join(refused)}.",
            why="Their requests arrive, and each is 401 token_invalid_authorized_party.",
            to_do="Add them to CLERK_AUTHORIZED_PARTIES.",
        )
    if allowed and blocked:
        yield ok(
            f"CLERK_AUTHORIZED_PARTIES has origins that CORS_ALLOWED_ORIGINS lacks: {', '.join(blocked)}.",
            to_do="Add them there if their pages call this API from another origin.",
        )
    if not refused:
        yield ok("Tokens of each origin in CORS_ALLOWED_ORIGINS are accepted.")


def examine_issuers() -> Iterator[Finding]:
    """Compare the issuer of the publishable key with CLERK_ISSUER, and look at CLERK_AUDIENCE."""
    issuer = frontend_api(settings.CLERK_PUBLISHABLE_KEY)
    if issuer and issuer not in get_issuers():
        yield warning(
            f"CLERK_ISSUER is {', '.join(get_issuers())}, but CLERK_PUBLISHABLE_KEY belongs to {issuer}.",
            why="The frontend gets tokens from the second, and this project accepts only those of the first.",
            to_do="Remove CLERK_ISSUER, unless you use a proxy or a satellite domain.",
        )
    if settings.CLERK_AUDIENCE:
        yield ok(
            "CLERK_AUDIENCE is set: a session token without this `aud` is 401 token_invalid_audience.",
            to_do="Add the claim aud in Clerk's dashboard, Sessions, Customize session token: none is there"
            " by default. --token examines a token.",
        )
