"""The checks of the settings: environment, keys, addresses, origins and secrets."""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning, register

from accounts.apps import AccountsConfig
from accounts.checks.values import check_values
from accounts.clerk.fields import EXTRA, parse_extra_fields
from accounts.clerk.jwks import check_address
from accounts.clerk.keys import pem_keys
from accounts.clerk.origins import is_origin
from accounts.clerk.profiles import PRIMARY_ADDRESS_CLAIMS, parse_claims_map
from accounts.clerk.publishable import frontend_api, is_secret_key
from accounts.conf import DEFAULTS, LIMITS, LISTS, get_malformed_variables, settings

LABEL = AccountsConfig.label
LOOPBACK_NAMES = re.compile(r"(.*\.)?(localhost|localdomain)|localhost[46]|ip6-(localhost|loopback)")
KEY_VARIABLES = {
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_ISSUER",
    "CLERK_JWKS_URL",
    "CLERK_JWT_KEY",
    "CLERK_JWT_KEY_FILE",
}


@register(LABEL)
def check_settings(**_: object) -> list[CheckMessage]:
    """Check the settings of this project, most of them read from the environment."""
    if wrong_types := list(_check_types()):
        return [*_check_environment(), *wrong_types]  # the other checks could not read these
    return [
        *_check_environment(),
        *_check_verification(),
        *_check_pem_keys(),
        *_check_authorized_parties(),
        *_check_addresses(),
        *_check_fields(),
        *_check_webhook_secrets(),
        *_check_keys(),
        *check_values(),
    ]


def _check_environment() -> Iterator[CheckMessage]:
    for variable, message in settings.ENV_PROBLEMS:
        yield Error(
            f"{variable} {message}.",
            hint="Correct it in the environment or in .env; .env.example shows the form of each variable.",
            id=f"{LABEL}.E001",
        )


def _check_types() -> Iterator[CheckMessage]:
    """Check the settings of a project that does not read them from the environment."""
    for name in sorted(LISTS):
        value = getattr(settings, name)
        if value is not None and not _is_list_of_texts(value):
            yield Error(
                f"{name} is no list of texts.",
                hint="Set it to a list or tuple of texts, or to one text with commas.",
                id=f"{LABEL}.E020",
            )
    for name, default in DEFAULTS.items():
        value = getattr(settings, name)
        is_number = isinstance(default, int) and not isinstance(default, bool)
        kinds = (int, float) if is_number else (type(default),)
        if name in LISTS or default in (None, ()):
            continue
        if not isinstance(value, kinds) or (is_number and isinstance(value, bool)):
            yield Error(
                f"{name} is a {type(value).__name__}.",
                hint=f"Set it to a {' or '.join(kind.__name__ for kind in kinds)}.",
                id=f"{LABEL}.E020",
            )
        elif name in LIMITS and not LIMITS[name]["low"] <= value <= LIMITS[name]["high"]:
            yield Error(
                f"{name} is out of range.",
                hint=f"Set it to a number from {LIMITS[name]['low']} to {LIMITS[name]['high']}.",
                id=f"{LABEL}.E020",
            )


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, Collection) and all(isinstance(each, str) for each in value)


def _check_verification() -> Iterator[CheckMessage]:
    if settings.CLERK_ISSUER and (settings.CLERK_JWKS_URL or settings.CLERK_JWT_KEY):
        return
    if settings.CLERK_PUBLISHABLE_KEY or KEY_VARIABLES & get_malformed_variables():
        return  # another check reports the malformed value
    yield Error(
        "No session token can be verified: the issuer or its keys are not set.",
        hint="Set CLERK_PUBLISHABLE_KEY, or CLERK_ISSUER together with CLERK_JWKS_URL or CLERK_JWT_KEY. If"
        " they are set only with DEBUG, tests need `manage.py test --debug-mode`.",
        id=f"{LABEL}.E002",
    )


def _check_pem_keys() -> Iterator[CheckMessage]:
    if not settings.CLERK_JWT_KEY:
        return
    try:
        pem_keys(settings.CLERK_JWT_KEY)
    except ValueError as error:
        yield Error(
            f"CLERK_JWT_KEY does not parse: {error}",
            hint="Copy the PEM public key from Clerk's dashboard, API keys; several may follow one another.",
            id=f"{LABEL}.E004",
        )


def _check_authorized_parties() -> Iterator[CheckMessage]:
    parties = settings.CLERK_AUTHORIZED_PARTIES
    if parties is None:
        yield Warning(
            "CLERK_AUTHORIZED_PARTIES is not set: tokens issued to other sites of the instance are accepted.",
            hint="List the origins of your frontends, such as https://app.example.com, separated by commas.",
            id=f"{LABEL}.W001",
        )
    elif not parties:
        yield Error(
            "CLERK_AUTHORIZED_PARTIES is set and empty: no token can match it.",
            hint="List the origins of your frontends, or remove the setting.",
            id=f"{LABEL}.E005",
        )
    for party in parties or ():
        if not is_origin(party):
            yield Error(
                f"CLERK_AUTHORIZED_PARTIES contains {party!r}, which no browser sends as an origin.",
                hint="Write scheme, host and optional port in lower case, without blanks, wildcard, default"
                " port, path or trailing slash: https://app.example.com",
                id=f"{LABEL}.E006",
            )


def _check_addresses() -> Iterator[CheckMessage]:
    addresses = [("CLERK_ISSUER", issuer) for issuer in settings.CLERK_ISSUER]
    addresses += [(name, getattr(settings, name)) for name in ("CLERK_JWKS_URL", "CLERK_API_URL")]
    for name, address in addresses:
        if not settings.DEBUG and address and not _is_trustworthy(address):
            yield Error(
                f"{name} is plain http or on this machine: an attacker can sign in as any user.",
                hint="Use the https address of Clerk. DEBUG (in a clone DJANGO_DEBUG=true, in tests"
                " `manage.py test --debug-mode`) allows the local Clerk emulator.",
                id=f"{LABEL}.E007",
            )
    try:
        if settings.DEBUG and settings.CLERK_JWKS_URL and not settings.CLERK_JWT_KEY:
            check_address(settings.CLERK_JWKS_URL, allow_http=True)
    except ValueError:
        yield Error(
            "CLERK_JWKS_URL is plain http on another machine: an attacker can sign in as any user.",
            hint="Use https. Plain http is allowed on 127.0.0.1, localhost or [::1], for the local emulator.",
            id=f"{LABEL}.E014",
        )


def _check_fields() -> Iterator[CheckMessage]:
    try:
        extra_fields = parse_extra_fields(settings.CLERK_EXTRA_FIELDS)
    except ValueError as error:
        yield Error(
            f"CLERK_EXTRA_FIELDS cannot be used: {error}.",
            hint=f"List some of {', '.join(EXTRA)}, separated by commas.",
            id=f"{LABEL}.E021",
        )
        return
    try:
        mapping = parse_claims_map(settings.CLERK_CLAIMS, extra_fields=extra_fields)
    except ValueError as error:
        yield Error(
            f"CLERK_CLAIMS does not parse: {error}",
            hint="Write field=claim,field=claim|other: email=email,first_name=first_name|firstName",
            id=f"{LABEL}.E008",
        )
        return
    other = set(mapping.get("email", ())) - PRIMARY_ADDRESS_CLAIMS
    if other and "email_verified" in mapping:
        yield Warning(
            f"CLERK_CLAIMS: an e-mail address from the claim {', '.join(sorted(other))} is stored as not"
            " verified, since {{user.email_verified}} is about the primary address.",
            hint="Name the claim of {{user.primary_email_address}} email or primary_email_address.",
            id=f"{LABEL}.W008",
        )


def _check_webhook_secrets() -> Iterator[CheckMessage]:
    for number, secret in enumerate(settings.CLERK_WEBHOOK_SIGNING_SECRET, start=1):
        if not _is_signing_secret(secret):
            yield Error(
                f"CLERK_WEBHOOK_SIGNING_SECRET: secret {number} is not whsec_ followed by base64.",
                hint="Copy the endpoint's signing secret from Clerk's dashboard; separate several by commas.",
                id=f"{LABEL}.E009",
            )


def _check_keys() -> Iterator[CheckMessage]:
    publishable, secret = settings.CLERK_PUBLISHABLE_KEY, settings.CLERK_SECRET_KEY
    if publishable and not frontend_api(publishable):
        yield Error(
            "CLERK_PUBLISHABLE_KEY does not decode to the address of a Clerk instance.",
            hint="Copy it again from Clerk's dashboard, API keys: pk_live_... or pk_test_..., no quotes.",
            id=f"{LABEL}.E003",
        )
    if secret and not is_secret_key(secret):
        yield Error(
            "CLERK_SECRET_KEY is not a secret key of Clerk's: sk_live_ or sk_test_ and one word of printable"
            " characters.",
            hint="Copy it again from Clerk's dashboard, API keys: sk_live_... or sk_test_..., no blanks.",
            id=f"{LABEL}.E015",
        )
    if not settings.DEBUG and (publishable.startswith("pk_test_") or secret.startswith("sk_test_")):
        yield Warning(
            "The keys of a Clerk development instance are in use with DEBUG off.",
            hint="Use the pk_live_ and sk_live_ keys of the production instance.",
            id=f"{LABEL}.W002",
        )
    if publishable and is_secret_key(secret) and publishable.split("_")[1:2] != secret.split("_")[1:2]:
        yield Warning(
            "CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY are of different kinds (live, test): two instances.",
            hint="Copy both from the same instance; else the commands sync the users of the other one.",
            id=f"{LABEL}.W003",
        )


def _is_trustworthy(address: str) -> bool:
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or not host or LOOPBACK_NAMES.fullmatch(host):
        return False
    ip = _parse_ip_address(host)
    return ip is None or not (ip.is_loopback or ip.is_unspecified)


def _parse_ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address, or None for a name; 127.1, 0x7f.1 and 2130706433 are all 127.0.0.1."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        pass
    try:
        ipv6 = ipaddress.IPv6Address(host)
    except ValueError:
        return None
    return ipv6.ipv4_mapped or ipv6


def _is_signing_secret(text: str) -> bool:
    try:
        return text.startswith("whsec_") and base64.b64decode(text[6:], validate=True) != b""
    except ValueError:
        return False
