"""The settings with their defaults, and the objects built from them, once per process and setting.

A clone reads its settings from the environment (`config.settings`). In any other project they are ordinary
settings of Django, and `settings` has a default for each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from accounts.clerk.api import DEFAULT_URL, ClerkAPI
from accounts.clerk.fields import parse_extra_fields
from accounts.clerk.instance import InstanceGuard
from accounts.clerk.jwks import check_address, fetch_document, keys_of_pem
from accounts.clerk.keys import KeySource, KeysStatus, KeyStore, pem_keys
from accounts.clerk.origins import OriginsAndLoopback
from accounts.clerk.profiles import DEFAULT_CLAIMS, ClaimsMap, parse_claims_map
from accounts.clerk.publishable import frontend_api
from accounts.clerk.tokens import SessionVerifier
from accounts.clerk.unexpected import log_unexpected

# CLERK_ISSUER and CLERK_JWKS_URL follow from the publishable key unless they are set.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "CLERK_PUBLISHABLE_KEY": "",
        "CLERK_JWT_KEY": "",
        "CLERK_SECRET_KEY": "",
        "CLERK_API_URL": DEFAULT_URL,
        "CLERK_WEBHOOK_SIGNING_SECRET": (),
        "CLERK_INSTANCE_ID": "",
        "CLERK_AUTHORIZED_PARTIES": None,
        "CLERK_AUDIENCE": "",
        "CLERK_CLOCK_SKEW_SECONDS": 5,
        "CLERK_ALLOW_MISSING_AZP": False,
        "CLERK_ALLOW_TEMPLATE_TOKENS": False,
        "CLERK_ALLOW_PENDING_SESSIONS": False,
        "CLERK_ALLOW_IMPERSONATION": True,
        "CLERK_CLAIMS": DEFAULT_CLAIMS,
        "CLERK_EXTRA_FIELDS": (),
        "CLERK_IGNORE_FOREIGN_TOKENS": True,
        "CLERK_USER_FIELDS": None,
        "CLERK_CREATE_USER": None,
        "CLERK_DEACTIVATE_USERS": False,
        "CLIENT_ADDRESS_HEADER": "",
        "HEALTH_TOKEN": "",
        "HEALTH_MISSED_WEBHOOK_MINUTES": 10,
        "HEALTH_WEBHOOK_LAG_SECONDS": 300,
        "HEALTH_KEYS_STALE_SECONDS": 3600,
        "ALLOW_SQLITE": False,
        "ENV_PROBLEMS": (),
    }
)
LISTS = frozenset(
    {"CLERK_ISSUER", "CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_AUTHORIZED_PARTIES", "CLERK_EXTRA_FIELDS"}
)
# The least and the greatest value of each number.
LIMITS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "CLERK_CLOCK_SKEW_SECONDS": {"low": 0, "high": 300},
        "HEALTH_MISSED_WEBHOOK_MINUTES": {"low": 0.01, "high": 99_999},
        "HEALTH_WEBHOOK_LAG_SECONDS": {"low": 1, "high": 1_000_000},
        "HEALTH_KEYS_STALE_SECONDS": {"low": 1, "high": 1_000_000},
    }
)

logger = logging.getLogger(__name__)


class Settings:
    """Django's settings, read at each access, with `DEFAULTS` for those that the project does not have."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = getattr(django_settings, name)
        except AttributeError:
            value = _derive_default(name)
        if name in LISTS and isinstance(value, str):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return value


def _derive_default(name: str) -> Any:
    """Return the default of a setting. Raises AttributeError, as Django does, for any other name."""
    if name in DEFAULTS:
        return DEFAULTS[name]
    if name not in {"CLERK_ISSUER", "CLERK_JWKS_URL"}:
        raise AttributeError(name)
    address = frontend_api(settings.CLERK_PUBLISHABLE_KEY)
    return f"{address}/.well-known/jwks.json" if address and name == "CLERK_JWKS_URL" else address


settings = Settings()


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
        issuer=get_issuers(),
        authorized_parties=get_authorized_parties(),
        audience=settings.CLERK_AUDIENCE or None,
        leeway=settings.CLERK_CLOCK_SKEW_SECONDS,
        allow_missing_azp=settings.CLERK_ALLOW_MISSING_AZP,
        allow_template_tokens=settings.CLERK_ALLOW_TEMPLATE_TOKENS,
        allow_pending_sessions=settings.CLERK_ALLOW_PENDING_SESSIONS,
        allow_impersonation=settings.CLERK_ALLOW_IMPERSONATION,
    )


def get_authorized_parties() -> Collection[str] | None:
    """Return the origins allowed in `azp`, in debug with every loopback origin; None allows any."""
    parties: Collection[str] | None = settings.CLERK_AUTHORIZED_PARTIES
    return OriginsAndLoopback(parties) if settings.DEBUG and parties is not None else parties


def get_malformed_variables() -> set[str]:
    """Return the variables whose values cannot be used; a check names each with its fault."""
    return {variable for variable, _ in settings.ENV_PROBLEMS}


def is_database_malformed() -> bool:
    """Return whether the address of the database is malformed: DATABASES then has a placeholder."""
    return bool({"DATABASE_URL", "DATABASE_URL_FILE"} & get_malformed_variables())


def get_issuers() -> tuple[str, ...]:
    """Return the issuers whose tokens are verified, all with the same keys."""
    return tuple(settings.CLERK_ISSUER)


@cache
def get_claims_map() -> ClaimsMap:
    """Return which claims feed which field; raise ValueError if the setting does not parse."""
    return parse_claims_map(settings.CLERK_CLAIMS, extra_fields=get_extra_fields())


@cache
def get_extra_fields() -> tuple[str, ...]:
    """Return the fields that are stored in `extra`; raise ValueError if the setting does not parse."""
    return parse_extra_fields(settings.CLERK_EXTRA_FIELDS)


def get_clerk_api(*, timeout: float = 20.0, patience: float = 30.0, accept_kept: bool = False) -> ClerkAPI:
    """Return the Backend API client, if its secret key belongs to the instance whose tokens are accepted.

    Commands and admin actions get the client only here, so that data of another instance is never written.
    The doctor, which only reads, builds its own. With `accept_kept` a confirmation of the last five minutes
    is enough. Raises ImproperlyConfigured without a secret key, InstanceUnconfirmed and ClerkAPIError.
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


_BUILT: tuple[Any, ...] = (
    get_key_source,
    get_verifier,
    get_claims_map,
    get_extra_fields,
    _build_clerk_api,
    _get_instance_guard,
)


def _clear_caches(*, setting: str, **_kwargs: Any) -> None:
    if setting.startswith("CLERK_") or setting == "DEBUG":
        for built in _BUILT:
            built.cache_clear()


setting_changed.connect(_clear_caches, dispatch_uid=__name__)
