"""The identities of Clerk users, and the runs of the bulk commands.

Exactly one model stores the identities: `get_identity_model` returns it. Code that means "the row of a Clerk
user" asks this function; only the packages of the clone (`api`, `config`) name `User`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings

from accounts.models.account import ClerkAccount
from accounts.models.identity import (
    AbstractClerkIdentity,
    CreatedVia,
    DeletedBy,
    IdentityManager,
    IdentityQuerySet,
    identity_permissions,
    opaque_username,
)
from accounts.models.runs import SyncRun
from accounts.models.user import ClerkUserManager, User

__all__ = [
    "AbstractClerkIdentity",
    "ClerkAccount",
    "ClerkUserManager",
    "CreatedVia",
    "DeletedBy",
    "IdentityManager",
    "IdentityQuerySet",
    "SyncRun",
    "User",
    "get_identity_model",
    "identity_permissions",
    "is_user_model",
    "opaque_username",
]


def get_identity_model() -> type[Any]:
    """Return the model that CLERK_IDENTITY_MODEL names, by default `ClerkAccount`.

    It is a subclass of AbstractClerkIdentity; a system check refuses any other. Raises LookupError and
    ValueError for a name that is no model.
    """
    name = getattr(settings, "CLERK_IDENTITY_MODEL", None)
    return _find_model(name) if name else ClerkAccount


def is_user_model() -> bool:
    """Return whether the identity is the user: one row, one model."""
    return get_identity_model() is _find_model(settings.AUTH_USER_MODEL)


@cache
def _find_model(name: str) -> type[Any]:
    # Cached, because a warm request asks several times, and each look-up in the registry takes 1 µs.
    return apps.get_model(name, require_ready=False)
