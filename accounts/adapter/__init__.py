"""Between a Clerk identity and the project's user: only this package knows whether they are one row.

In a clone the identity is the user, and most functions have nothing to do. Otherwise the identity is a
`ClerkAccount`, and the user's model belongs to the project:

- It is saved by its own `save`, one user at a time, so that receivers of `post_save` run. No manager of the
  project is used: `create_user` may need arguments that only the project knows.
- A value of Clerk is written to a column only when the identity's value changes; CLERK_USER_FIELDS names the
  columns. An e-mail address is written only while it is verified: the project may trust its column.
- A value that a column or constraint does not accept is left out; the functions return such columns.
"""

from __future__ import annotations

from accounts.adapter.columns import can_feed, find_column, get_email_column, get_user_fields
from accounts.adapter.rows import (
    clear_rights,
    find_users_by_address,
    find_users_by_key,
    get_identity,
    get_rights_relations,
    get_user,
    has_more_rights,
    has_rights,
    has_rights_relation,
    has_user,
    is_active,
    is_staff,
    is_superuser,
    lock_user,
    may_sign_in,
    new_identity,
)
from accounts.adapter.writes import create_user, deactivate_user, link_user, scrub_user, write_user

__all__ = [
    "can_feed",
    "clear_rights",
    "create_user",
    "deactivate_user",
    "find_column",
    "find_users_by_address",
    "find_users_by_key",
    "get_email_column",
    "get_identity",
    "get_rights_relations",
    "get_user",
    "get_user_fields",
    "has_more_rights",
    "has_rights",
    "has_rights_relation",
    "has_user",
    "is_active",
    "is_staff",
    "is_superuser",
    "link_user",
    "lock_user",
    "may_sign_in",
    "new_identity",
    "scrub_user",
    "write_user",
]
