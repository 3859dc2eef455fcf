"""Objects made from the settings: once a process, and made anew when a setting changes."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from accounts.clerk.api import ClerkAPI
from accounts.clerk.keys import KeySource, KeyStore, pem_keys
from accounts.clerk.profiles import ClaimsMap, parse_claims_map
from accounts.clerk.tokens import SessionVerifier


@cache
def get_key_source() -> KeySource:
    """Return the keys of this process: PEM if one is set, else the JWKS address."""
    if settings.CLERK_JWT_KEY:
        return pem_keys(settings.CLERK_JWT_KEY)
    return KeyStore(settings.CLERK_JWKS_URL, allow_http=settings.DEBUG)


@cache
def get_verifier() -> SessionVerifier:
    """Return the verifier that the settings describe."""
    return SessionVerifier(
        keys=get_key_source(),
        issuer=settings.CLERK_ISSUER,
        authorized_parties=settings.CLERK_AUTHORIZED_PARTIES,
        audience=settings.CLERK_AUDIENCE or None,
        leeway=settings.CLERK_CLOCK_SKEW_SECONDS,
        allow_missing_azp=settings.CLERK_ALLOW_MISSING_AZP,
        allow_template_tokens=settings.CLERK_ALLOW_TEMPLATE_TOKENS,
        allow_pending_sessions=settings.CLERK_ALLOW_PENDING_SESSIONS,
        allow_impersonation=settings.CLERK_ALLOW_IMPERSONATION,
    )


@cache
def claims_map() -> ClaimsMap:
    """Return which claim feeds which field."""
    return parse_claims_map(settings.CLERK_CLAIMS)


@cache
def get_clerk_api(*, timeout: float = 20.0, patience: float = 30.0) -> ClerkAPI:
    """Return the Backend API client; raises ImproperlyConfigured without a secret key."""
    if not settings.CLERK_SECRET_KEY:
        raise ImproperlyConfigured(
            "CLERK_SECRET_KEY is not set, so Clerk's Backend API cannot be asked. Copy the secret key"
            " (sk_live_... or sk_test_...) from Clerk's dashboard, API keys."
        )
    return ClerkAPI(
        settings.CLERK_SECRET_KEY, base_url=settings.CLERK_API_URL, timeout=timeout, patience=patience
    )


def _forget(*, setting: str, **_kwargs: Any) -> None:
    if setting.startswith("CLERK_") or setting == "DEBUG":
        for made in (get_key_source, get_verifier, claims_map, get_clerk_api):
            made.cache_clear()


setting_changed.connect(_forget, dispatch_uid="accounts.conf")
