"""The checks of values that are well formed and can never work or match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning

from accounts.apps import AccountsConfig
from accounts.clerk.origins import is_issuer
from accounts.conf import settings

LABEL = AccountsConfig.label
INSTANCE_ID = re.compile(r"ins_[A-Za-z0-9_]+")
# Clerk's Backend API serves keys too, for requests with the secret key, which those for tokens do not send.
BACKEND_HOSTS = frozenset({"api.clerk.com", "api.clerk.dev"})
VERSION_IN_PATH = re.compile(r"/v1(/|$)")
# A wildcard, for example, which no resolver knows.
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]+")
# Printable ASCII, as an HTTP header carries it.
HEADER_VALUE = re.compile(r"[ -~]+")
MIN_TOKEN_CHARACTERS, MIN_DIFFERENT_CHARACTERS = 20, 5


def check_values() -> Iterator[CheckMessage]:
    """Check the addresses, the instance and the token of the health report, all of the right type."""
    yield from _check_issuers()
    yield from _check_hosts()
    yield from _check_paths()
    yield from _check_instance()
    yield from _check_health_token()


def _check_issuers() -> Iterator[CheckMessage]:
    for issuer in settings.CLERK_ISSUER:
        if not is_issuer(issuer):
            yield Error(
                f"CLERK_ISSUER contains {issuer!r}, which no token of Clerk's has as its issuer.",
                hint="Write the `iss` of a token: https://clerk.example.com, in lower case, without wildcard,"
                " default port or slash at the end. It is neither the address of the keys nor that of the"
                " Backend API.",
                id=f"{LABEL}.E023",
            )


def _check_hosts() -> Iterator[CheckMessage]:
    for name in ("CLERK_JWKS_URL", "CLERK_API_URL"):
        address = getattr(settings, name)
        if address and not HOST.fullmatch(_split(address)[0]):
            yield Error(
                f"{name} has a host that no name server knows.",
                hint="Write a whole address, such as https://clerk.example.com, without a wildcard.",
                id=f"{LABEL}.E024",
            )


def _check_paths() -> Iterator[CheckMessage]:
    if _split(settings.CLERK_JWKS_URL)[0] in BACKEND_HOSTS:
        yield Error(
            "CLERK_JWKS_URL is an address of Clerk's Backend API, which wants the secret key.",
            hint="Remove it beside CLERK_PUBLISHABLE_KEY, else write the issuer and /.well-known/jwks.json.",
            id=f"{LABEL}.E025",
        )
    if VERSION_IN_PATH.search(_split(settings.CLERK_API_URL)[1]):
        yield Error(
            "CLERK_API_URL contains /v1, which each request adds itself.",
            hint="Write the address without a path: https://api.clerk.com",
            id=f"{LABEL}.E026",
        )


def _check_instance() -> Iterator[CheckMessage]:
    instance = settings.CLERK_INSTANCE_ID
    if instance and not INSTANCE_ID.fullmatch(instance):
        yield Error(
            "CLERK_INSTANCE_ID is not the id of one instance: every webhook would be refused.",
            hint="Write ins_ and what follows it in the `kid` of any session token, or remove the variable.",
            id=f"{LABEL}.E027",
        )


def _check_health_token() -> Iterator[CheckMessage]:
    token = settings.HEALTH_TOKEN
    if not token:
        return
    if not HEADER_VALUE.fullmatch(token):
        yield Error(
            "HEALTH_TOKEN has characters that an HTTP header does not carry: no request can send it.",
            hint="Use printable ASCII: `openssl rand -hex 32` prints one.",
            id=f"{LABEL}.E028",
        )
    elif not settings.DEBUG and (
        len(token) < MIN_TOKEN_CHARACTERS or len(set(token)) < MIN_DIFFERENT_CHARACTERS
    ):
        yield Warning(
            "HEALTH_TOKEN is weak: requests can guess it, and nothing limits their attempts.",
            hint=f"Use {MIN_TOKEN_CHARACTERS} characters or more: `openssl rand -hex 32` prints some.",
            id=f"{LABEL}.W009",
        )


def _split(address: str) -> tuple[str, str]:
    """Return the host and the path of an address; empty if it cannot be read."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", ""
    return parts.hostname or "", parts.path
