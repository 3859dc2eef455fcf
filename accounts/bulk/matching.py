"""The users of Clerk, and the rows of this database that match them.

Note [Compare addresses by ASCII case]
In Unicode the lower case of the Kelvin sign is k. So a user who verified mar\u212a@example.com would get the
row of mark@example.com. The database has its own rules of case, and only finds the rows to compare.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from accounts.adapter import find_users_by_address, find_users_by_key
from accounts.bulk.pages import iter_pages
from accounts.bulk.runs import Clock
from accounts.clerk.api import ClerkAPI
from accounts.clerk.profiles import ClerkProfile
from accounts.models import get_identity_model

_LOWER_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClerkUser:
    """A Clerk user with what identifies a row: an `external_id` that is a primary key, a verified address.

    An address that is not verified identifies no row.
    """

    profile: ClerkProfile
    external_id: Any
    address: str | None
    unverified_address: str | None


class PageRows:
    """The users that match the Clerk users of a page: by key and by address; and which of those have rows."""

    def __init__(self, clerk_users: Sequence[ClerkUser]) -> None:
        self.by_key = find_users_by_key([each.external_id for each in clerk_users if each.external_id])
        self.by_address: defaultdict[str | None, list[Any]] = defaultdict(list)
        # By the database's rules of case.
        addresses = [each.address or each.unverified_address for each in clerk_users]
        for user, address in find_users_by_address(filter(None, addresses)):
            self.by_address[fold(address)].append(user)
        clerk_ids = [each.profile.clerk_id for each in clerk_users]
        rows = get_identity_model().objects.live_or_deleted().filter(clerk_id__in=clerk_ids)
        found = list(rows.values_list("clerk_id", "deleted_at"))
        self.live = {clerk_id for clerk_id, deleted_at in found if deleted_at is None}
        self.deleted = {clerk_id for clerk_id, _ in found} - self.live


def iter_users(api: ClerkAPI, *, clock: Clock) -> Iterator[list[ClerkUser]]:
    """Yield the users of Clerk, page by page. Raises ClerkAPIError."""
    # Entries without a usable id are left out; backfill and reconcile report them.
    for page in iter_pages(api, clock=clock):
        yield [
            ClerkUser(
                profile=profile,
                external_id=_parse_key(page.external_ids[profile.clerk_id]),
                address=_get_address(profile, is_verified=True),
                unverified_address=_get_address(profile, is_verified=False),
            )
            for profile in page.profiles
        ]


def _get_address(profile: ClerkProfile, *, is_verified: bool) -> str | None:
    email = profile.values.get("email")
    if not isinstance(email, str) or not email:
        return None
    return fold(email) if (profile.values.get("email_verified") is True) == is_verified else None


def _parse_key(text: object) -> Any:
    """Parse a primary key as Django prints it; other spellings of a key are ids of other systems."""
    if not isinstance(text, str) or "\x00" in text:
        return None
    try:
        key = get_key_field().clean(text, None)
    except ValidationError:
        return None
    return key if str(key) == text else None


def get_key_field() -> Any:
    """Return the primary key of the user model, the field that holds its values."""
    field: Any = get_user_model()._meta.pk
    while field.remote_field:  # a model that inherits the table of another one
        field = field.target_field
    return field


def fold(address: str) -> str:
    """Return the address in the form that is compared: Note [Compare addresses by ASCII case]."""
    return address.translate(_LOWER_CASE)
