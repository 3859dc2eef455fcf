"""The authentication classes that are compared, ours included: same view, table and server for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from rest_framework.authentication import BaseAuthentication

from benchmarks.environment import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One authentication class; `refuses` is false for the one that accepts every request."""

    name: str
    label: str
    authentication: type[BaseAuthentication]
    uses_key: bool = False
    refuses: bool = True

    @property
    def path(self) -> str:
        """Return the path of its view."""
        return f"/me/{self.name}"

    def header(self, credentials: Credentials) -> str:
        """Return the Authorization header of a user."""
        return f"Token {credentials.key}" if self.uses_key else f"Bearer {credentials.session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    name: str
    label: str
    import_path: str
    requires: str = ""
    uses_key: bool = False
    refuses: bool = True


_ENTRIES = (
    _Entry(name="ours", label="django-clerk-sync", import_path="accounts.authentication:ClerkAuthentication"),
    _Entry(
        name="token",
        label="DRF TokenAuthentication",
        import_path="rest_framework.authentication:TokenAuthentication",
        uses_key=True,
    ),
    _Entry(
        name="minimal",
        label="the limit: signature and one SELECT",
        import_path="benchmarks.reference:MinimalAuthentication",
    ),
    _Entry(
        name="simplejwt",
        label="simplejwt, RS256",
        import_path="rest_framework_simplejwt.authentication:JWTAuthentication",
        requires="rest_framework_simplejwt",
    ),
    _Entry(
        name="sdk",
        label="Clerk's SDK, PEM, get_or_create",
        import_path="benchmarks.sdk:SDKAuthentication",
        requires="clerk_backend_api",
    ),
    _Entry(
        name="django_clerk_users",
        label="django-clerk-users",
        import_path="django_clerk_users.authentication.drf:ClerkAuthentication",
        requires="django_clerk_users",
    ),
    _Entry(
        name="every_request",
        label="sync on every request",
        import_path="benchmarks.reference:SyncOnEveryRequest",
    ),
    _Entry(
        name="none",
        label="no authentication",
        import_path="benchmarks.reference:NoAuthentication",
        refuses=False,
    ),
)


@cache
def installed_peers() -> tuple[Peer, ...]:
    """Return the peers whose packages are installed."""
    return tuple(
        Peer(
            name=entry.name,
            label=entry.label,
            authentication=_load(entry.import_path),
            uses_key=entry.uses_key,
            refuses=entry.refuses,
        )
        for entry in _ENTRIES
        if not entry.requires or find_spec(entry.requires)
    )


def missing_peers() -> tuple[str, ...]:
    """Return the labels of the peers whose packages are not installed."""
    return tuple(entry.label for entry in _ENTRIES if entry.requires and not find_spec(entry.requires))


def _load(import_path: str) -> type[BaseAuthentication]:
    module, _, name = import_path.partition(":")
    found: type[BaseAuthentication] = getattr(import_module(module), name)
    return found
