"""The objects that are built from the settings, once per process and again when a setting changes."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from accounts.clerk.api import ClerkAPI
from accounts.clerk.instance import InstanceGuard
from accounts.clerk.jwks import check_address, fetch_document, keys_of_pem
from accounts.clerk.keys import KeySource, KeysStatus, KeyStore, pem_keys
from accounts.clerk.profiles import ClaimsMap, parse_claims_map
from accounts.clerk.tokens import SessionVerifier
from accounts.clerk.unexpected import log_unexpected

logger = logging.getLogger(__name__)


@cache
def get_key_source() -> KeySource:
    """Return the key source: PEM if one is set, else the JWKS address; raise ValueError for a bad PEM."""
    if settings.CLERK_JWT_KEY:
        return pem_keys(settings.CLERK_JWT_KEY)
    leeway = settings.CLERK_CLOCK_SKEW_SECONDS
    if not isinstance(leeway, int | float):
        leeway = 0.0  # the verifier fails with the right value: a fault of the setting, not of the keys
    return KeyStore(settings.CLERK_JWKS_URL, allow_http=settings.DEBUG, leeway=leeway)


def get_keys_status() -> KeysStatus:
    """Return the state of the keys; a key source that fails has none, and its error is logged by class."""
    try:
        return get_key_source().status()
    except Exception as error:  # noqa: BLE001 - the settings, or foreign code: the report must show it
        log_unexpected(logger, "The key source failed", error=error)
        mode = "pem" if settings.CLERK_JWT_KEY else "jwks"
        return KeysStatus(mode=mode, last_error=type(error).__name__)


@cache
def get_verifier() -> SessionVerifier:
    """Return the verifier of session tokens; raise ValueError if the keys cannot be read."""
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
def get_claims_map() -> ClaimsMap:
    """Return which claims feed which field; raise ValueError if the setting does not parse."""
    return parse_claims_map(settings.CLERK_CLAIMS)


def get_clerk_api(*, timeout: float = 20.0, patience: float = 30.0, accept_kept: bool = False) -> ClerkAPI:
    """Return the Backend API client, if its secret key belongs to the instance whose tokens are accepted.

    This is the only way to get the client, so that data of another instance is never written. With
    `accept_kept` a confirmation of the last five minutes is enough. Raises ImproperlyConfigured without a
    secret key, InstanceUnconfirmed and ClerkAPIError.
    """
    api = _build_clerk_api(timeout=timeout, patience=patience)
    _get_instance_guard().confirm(api, accept_kept=accept_kept)
    return api


@cache
def _build_clerk_api(*, timeout: float, patience: float) -> ClerkAPI:
    if not settings.CLERK_SECRET_KEY:
        raise ImproperlyConfigured(
            "CLERK_SECRET_KEY is not set, so Clerk's Backend API cannot be called. Copy the secret key"
            " (sk_live_... or sk_test_...) from Clerk's dashboard, API keys."
        )
    try:
        return ClerkAPI(
            settings.CLERK_SECRET_KEY, base_url=settings.CLERK_API_URL, timeout=timeout, patience=patience
        )
    except ValueError as refusal:  # its text says what the key looks like, and holds none
        raise ImproperlyConfigured(str(refusal)) from None


@cache
def _get_instance_guard() -> InstanceGuard:
    return InstanceGuard(_read_verifying_keys)


def _read_verifying_keys() -> Collection[RSAPublicKey]:
    """Return the keys that verify tokens now; raise FetchFailed or ValueError."""
    if settings.CLERK_JWT_KEY:
        return keys_of_pem(settings.CLERK_JWT_KEY)
    check_address(settings.CLERK_JWKS_URL, allow_http=settings.DEBUG)
    return fetch_document(settings.CLERK_JWKS_URL).keys.values()


def _clear_caches(*, setting: str, **_kwargs: Any) -> None:
    if setting.startswith("CLERK_") or setting == "DEBUG":
        for built in (get_key_source, get_verifier, get_claims_map, _build_clerk_api, _get_instance_guard):
            built.cache_clear()


setting_changed.connect(_clear_caches, dispatch_uid="accounts.conf")
