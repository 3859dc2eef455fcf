"""Who is compared: one authentication class each, over the same view, table and server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from rest_framework.authentication import BaseAuthentication

from benchmarks.ground import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to authenticate; `refuses` is false for the one that asks for nothing."""

    name: str
    label: str
    authentication: type[BaseAuthentication]
    by_key: bool = False
    refuses: bool = True

    @property
    def path(self) -> str:
        """Return its address."""
        return f"/who/{self.name}"

    def header(self, credentials: Credentials) -> str:
        """Return the Authorization header of a person."""
        return f"Token {credentials.key}" if self.by_key else f"Bearer {credentials.session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    label: str
    place: str
    needs: str = ""
    by_key: bool = False
    refuses: bool = True


_ENTRIES = (
    _Entry(name="ours", label="django-clerk-sync", place="accounts.authentication:ClerkAuthentication"),
    _Entry(
        name="token",
        label="DRF TokenAuthentication",
        place="rest_framework.authentication:TokenAuthentication",
        by_key=True,
    ),
    _Entry(name="limit", label="the limit: signature and one SELECT", place="benchmarks.plain:Limit"),
    _Entry(
        name="simplejwt",
        label="simplejwt, RS256",
        place="rest_framework_simplejwt.authentication:JWTAuthentication",
        needs="rest_framework_simplejwt",
    ),
    _Entry(
        name="sdk",
        label="Clerk's SDK, PEM, get_or_create",
        place="benchmarks.sdk:SDKAuthentication",
        needs="clerk_backend_api",
    ),
    _Entry(
        name="django_clerk_users",
        label="django-clerk-users",
        place="django_clerk_users.authentication.drf:ClerkAuthentication",
        needs="django_clerk_users",
    ),
    _Entry(name="every", label="sync on every request", place="benchmarks.plain:SyncOnEveryRequest"),
    _Entry(name="nobody", label="no authentication", place="benchmarks.plain:Nobody", refuses=False),
)


@cache
def contenders() -> tuple[Contender, ...]:
    """Return those that are installed."""
    return tuple(
        Contender(
            name=entry.name,
            label=entry.label,
            authentication=_loaded(entry.place),
            by_key=entry.by_key,
            refuses=entry.refuses,
        )
        for entry in _ENTRIES
        if not entry.needs or find_spec(entry.needs)
    )


def missing() -> tuple[str, ...]:
    """Name those that are not installed here."""
    return tuple(entry.label for entry in _ENTRIES if entry.needs and not find_spec(entry.needs))


def _loaded(place: str) -> type[BaseAuthentication]:
    module, _, name = place.partition(":")
    found: type[BaseAuthentication] = getattr(import_module(module), name)
    return found
