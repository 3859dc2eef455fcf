"""System checks: what would make every token fail, or the rows go wrong, is said before the first request.

They read the settings when they are called, and no message holds a secret. `manage.py`, runserver and
`config.wsgi` stop at an error.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from accounts.clerk.jwks import check_address
from accounts.clerk.keys import pem_keys
from accounts.clerk.profiles import parse_claims_map
from accounts.clerk.publishable import frontend_api
from accounts.db import write_alias

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#A-Z]+")
ADDRESSES = ("CLERK_ISSUER", "CLERK_JWKS_URL", "CLERK_API_URL")
# What may stand in an HTTP header: visible ASCII in one word.
SENDABLE = re.compile(r"[!-~]+")
LOOPBACK_NAMES = re.compile(r"(.*\.)?(localhost|localdomain)|localhost[46]|ip6-(localhost|loopback)")
KEY_VARIABLES = {
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_ISSUER",
    "CLERK_JWKS_URL",
    "CLERK_JWT_KEY",
    "CLERK_JWT_KEY_FILE",
}


@register("accounts")
def check_settings(**_: object) -> list[CheckMessage]:
    """Check what came from the environment."""
    return [
        *_environment(),
        *_verification(),
        *_publishable_key(),
        *_pem(),
        *_authorized_parties(),
        *_addresses(),
        *_jwks_url(),
        *_secret_key(),
        *_claims(),
        *_webhook_secrets(),
        *_key_kinds(),
    ]


@register("accounts")
def check_database(**_: object) -> list[CheckMessage]:
    """Check that the database keeps what the sync relies on: locks, short transactions, kept connections."""
    database = settings.DATABASES.get(write_alias())
    if database is None:
        return []  # accounts.E016
    vendor = database["ENGINE"].rpartition(".")[2]
    return [
        *(_sqlite() if vendor == "sqlite3" else _postgresql(database)),
        *_atomic_requests(database),
    ]


def _environment() -> Iterator[CheckMessage]:
    for variable, message in settings.ENV_PROBLEMS:
        yield Error(
            f"{variable} {message}.",
            hint="Correct it in the environment or in .env; .env.example shows the form of each variable.",
            id="accounts.E001",
        )


def _verification() -> Iterator[CheckMessage]:
    if settings.CLERK_ISSUER and (settings.CLERK_JWKS_URL or settings.CLERK_JWT_KEY):
        return
    if settings.CLERK_PUBLISHABLE_KEY or KEY_VARIABLES & {variable for variable, _ in settings.ENV_PROBLEMS}:
        # Its own message says what is wrong with the value that is there.
        return
    yield Error(
        "No session token can be verified: the issuer or its keys are not known.",
        hint="Set CLERK_PUBLISHABLE_KEY, or CLERK_ISSUER together with CLERK_JWKS_URL or CLERK_JWT_KEY.",
        id="accounts.E002",
    )


def _publishable_key() -> Iterator[CheckMessage]:
    if settings.CLERK_PUBLISHABLE_KEY and not frontend_api(settings.CLERK_PUBLISHABLE_KEY):
        yield Error(
            "CLERK_PUBLISHABLE_KEY does not decode to the address of a Clerk instance.",
            hint="Copy it again from Clerk's dashboard, API keys: pk_live_... or pk_test_..., no quotes.",
            id="accounts.E003",
        )


def _pem() -> Iterator[CheckMessage]:
    if not settings.CLERK_JWT_KEY:
        return
    try:
        pem_keys(settings.CLERK_JWT_KEY)
    except ValueError as error:
        yield Error(
            f"CLERK_JWT_KEY does not parse: {error}",
            hint="Copy the PEM public key from Clerk's dashboard, API keys; several may follow one another.",
            id="accounts.E004",
        )


def _authorized_parties() -> Iterator[CheckMessage]:
    parties = settings.CLERK_AUTHORIZED_PARTIES
    if parties is None:
        yield Warning(
            "CLERK_AUTHORIZED_PARTIES is not set: a token that another site of the instance got is accepted.",
            hint="List the origins of your frontends, such as https://app.example.com, comma separated.",
            id="accounts.W001",
        )
    elif not parties:
        yield Error(
            "CLERK_AUTHORIZED_PARTIES is set and empty: no token could match it.",
            hint="List the origins of your frontends, or remove the variable.",
            id="accounts.E005",
        )
    for party in parties or ():
        if not ORIGIN.fullmatch(party):
            yield Error(
                f"CLERK_AUTHORIZED_PARTIES holds {party!r}, which no browser sends as its origin.",
                hint="An origin is scheme, host and perhaps a port in small letters, "
                "without blanks, a path or a slash at its end: https://app.example.com",
                id="accounts.E006",
            )


def _addresses() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        return
    for name in ADDRESSES:
        address = getattr(settings, name)
        if address and not _trustworthy(address):
            yield Error(
                f"{name} is plain http or on this machine: whoever sits there could sign in as anybody.",
                hint="Use an https address of Clerk's; only DJANGO_DEBUG allows the local stand-in.",
                id="accounts.E007",
            )


def _jwks_url() -> Iterator[CheckMessage]:
    if not settings.DEBUG or settings.CLERK_JWT_KEY or not settings.CLERK_JWKS_URL:
        return
    try:
        check_address(settings.CLERK_JWKS_URL, allow_http=True)
    except ValueError:
        yield Error(
            "CLERK_JWKS_URL is plain http on another machine: whoever sits between could sign in as anybody.",
            hint="Use https; plain http only on 127.0.0.1, localhost or [::1], where the local stand-in is.",
            id="accounts.E014",
        )


def _secret_key() -> Iterator[CheckMessage]:
    if settings.CLERK_SECRET_KEY and not SENDABLE.fullmatch(settings.CLERK_SECRET_KEY):
        yield Error(
            "CLERK_SECRET_KEY holds blanks or characters that no header can carry.",
            hint="Copy it again from Clerk's dashboard, API keys: sk_live_... or sk_test_..., one word.",
            id="accounts.E015",
        )


def _claims() -> Iterator[CheckMessage]:
    try:
        parse_claims_map(settings.CLERK_CLAIMS)
    except ValueError as error:
        yield Error(
            f"CLERK_CLAIMS does not parse: {error}",
            hint="Its form is field=claim,field=claim|other: email=email,first_name=first_name|firstName",
            id="accounts.E008",
        )


def _webhook_secrets() -> Iterator[CheckMessage]:
    for number, secret in enumerate(settings.CLERK_WEBHOOK_SIGNING_SECRET, start=1):
        if not _is_signing_secret(secret):
            yield Error(
                f"CLERK_WEBHOOK_SIGNING_SECRET: secret {number} is not whsec_ followed by base64.",
                hint="Copy the endpoint's signing secret from Clerk's dashboard; commas between several.",
                id="accounts.E009",
            )


def _key_kinds() -> Iterator[CheckMessage]:
    publishable, secret = settings.CLERK_PUBLISHABLE_KEY, settings.CLERK_SECRET_KEY
    if not settings.DEBUG and (publishable.startswith("pk_test_") or secret.startswith("sk_test_")):
        yield Warning(
            "The keys of a Clerk development instance are in use with DJANGO_DEBUG off.",
            hint="Use the pk_live_ and sk_live_ keys of the production instance.",
            id="accounts.W002",
        )
    if publishable and secret and publishable.split("_")[1:2] != secret.split("_")[1:2]:
        yield Warning(
            "CLERK_PUBLISHABLE_KEY and CLERK_SECRET_KEY are of different kinds (live, test): two instances.",
            hint="Copy both from the same instance; else the commands would sync people of the other one.",
            id="accounts.W003",
        )


def _sqlite() -> Iterator[CheckMessage]:
    if not settings.DEBUG and not settings.ALLOW_SQLITE:
        yield Error(
            "The database is SQLite and DJANGO_DEBUG is off: one writer at a time, on one machine.",
            hint="Set DATABASE_URL to a PostgreSQL database, or ALLOW_SQLITE=true if that is what you want.",
            id="accounts.E010",
        )


def _atomic_requests(database: dict[str, Any]) -> Iterator[CheckMessage]:
    if database.get("ATOMIC_REQUESTS"):
        yield Error(
            "ATOMIC_REQUESTS is on: a user made during authentication would vanish when the view fails, "
            "and the parallel first requests of a person would wait for the whole first view.",
            hint="Turn it off and write transaction.atomic where a view needs it.",
            id="accounts.E011",
        )


def _postgresql(database: dict[str, Any]) -> Iterator[CheckMessage]:
    from psycopg import IsolationLevel  # noqa: PLC0415 - a run on SQLite need not wait for it

    options = database.get("OPTIONS", {})
    by_option = re.search(r"transaction_isolation", str(options.get("options", "")))
    if (
        by_option
        or options.get("isolation_level", IsolationLevel.READ_COMMITTED) != IsolationLevel.READ_COMMITTED
    ):
        yield Error(
            "The isolation level of the database is not READ COMMITTED: "
            "after its lock, a write would still see the row as it was before it waited.",
            hint="Remove isolation_level from the options of the database.",
            id="accounts.E012",
        )
    if database.get("CONN_MAX_AGE") == 0 and not options.get("pool"):
        yield Error(
            "CONN_MAX_AGE is 0: each request would open a connection, at four times the cost of the request.",
            hint="Remove conn_max_age from DATABASE_URL (60 seconds is the default), or add ?pool=true.",
            id="accounts.E013",
        )


def _trustworthy(address: str) -> bool:
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https" or not host or LOOPBACK_NAMES.fullmatch(host):
        return False
    number = _address_of(host)
    return number is None or not (number.is_loopback or number.is_unspecified)


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address as the network does: 127.1, 0x7f.1 and 2130706433 are all the same machine."""
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        pass
    try:
        number = ipaddress.IPv6Address(host)
    except ValueError:
        return None
    return number.ipv4_mapped or number


def _is_signing_secret(text: str) -> bool:
    try:
        return text.startswith("whsec_") and bool(
            base64.b64decode(text.removeprefix("whsec_"), validate=True)
        )
    except (binascii.Error, ValueError):
        return False
