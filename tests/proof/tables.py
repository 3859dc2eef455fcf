"""The tables of the users in this process, and what must hold between them.

In a clone the identity is the user: one table. In the project of `tests.proof.member_site` a user has three
rows: the `ClerkAccount`, the member, and the profile that a receiver creates. They are written in one
transaction, so each rule holds at each moment, whatever runs at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model

from accounts.models import get_identity_model, is_user_model

Identity: Any = get_identity_model()
MODELS: list[Any] = [Identity]
if not is_user_model():
    profile = apps.get_model("shop", "Profile")  # type: ignore[misc] # a clone has no such model
    MODELS += [profile, get_user_model()]
IDENTITY_TABLE: str = Identity._meta.db_table
USER_TABLES: tuple[str, ...] = tuple(model._meta.db_table for model in MODELS)
# The last one that a changed name is written to.
LAST_TABLE = USER_TABLES[-1]

WITHOUT_USER = "an account without a user"
OTHER_ADDRESS = "a verified address that the user does not have"
# A deletion of an unknown user is stored as an account that never had a user. A value that is longer than the
# column of the member is left out.
_RULES = {
    "a user without an account": (
        "SELECT users.id, users.email FROM members_member AS users"
        " WHERE NOT EXISTS (SELECT 1 FROM accounts_clerkaccount WHERE user_id = users.id)"
    ),
    "a user without a profile": (
        "SELECT users.id, users.email FROM members_member AS users"
        " WHERE NOT EXISTS (SELECT 1 FROM shop_profile WHERE user_id = users.id)"
    ),
    WITHOUT_USER: (
        "SELECT id, clerk_id FROM accounts_clerkaccount"
        " WHERE user_id IS NULL AND (deleted_by <> 'clerk' OR field_versions <> '{}')"
    ),
    "a live account whose user has other values": (
        "SELECT accounts.id, clerk_id FROM accounts_clerkaccount AS accounts"
        " JOIN members_member AS users ON users.id = user_id"
        " WHERE deleted_at IS NULL AND ((name <> first_name AND length(first_name) <= 40)"
        " OR (picture <> image_url AND length(image_url) <= 200))"
    ),
    OTHER_ADDRESS: (
        "SELECT accounts.id, clerk_id, accounts.email FROM accounts_clerkaccount AS accounts"
        " JOIN members_member AS users ON users.id = user_id"
        " WHERE deleted_at IS NULL AND email_verified AND accounts.email <> users.email"
    ),
}


def live_identities() -> Any:
    """Return the live identities; an account whose user the project has deleted counts as deleted."""
    found = Identity.objects.live()
    return found if is_user_model() else found.exclude(user=None)


def find_broken_rules(run: Callable[[str], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Return each violation as (rule, key, name, ...); `run` runs a statement. A clone has none."""
    if is_user_model():
        return []
    return [(rule, *row) for rule, statement in _RULES.items() for row in run(statement)]
