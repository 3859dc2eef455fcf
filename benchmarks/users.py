"""The users of all benchmarks, derived from a number: in Python and, for a million rows, in SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import LiteralString

import psycopg

from accounts.clerk.profiles import ClerkProfile, Source
from devclerk.users import FIRST_NAMES, LAST_NAMES, ClerkUser, generated_user

# The same users as `made_up_user` returns, with the versions that a backfill writes. The rows equal the
# claims of a session, so that a request finds nothing to change.
MADE_UP = """
WITH made_up AS (
    SELECT 'user_2madeUp' || lpad(n::text, 20, '0') AS clerk_id, 'clerk-' || md5(n::text) AS username,
        CASE WHEN n % 20 > 0 THEN 'person' || n || '@example.test' END AS email,
        n % 20 > 0 AND n % 7 > 0 AS email_verified,
        (%(first_names)s::text[])[n % 10 + 1] AS first_name,
        (%(last_names)s::text[])[n / 10 % 10 + 1] AS last_name,
        'https://img.example.test/person' || n || '.png' AS image_url,
        jsonb_build_object('email', version, 'email_verified', version, 'first_name', version,
            'last_name', version, 'image_url', version, 'banned', version) AS field_versions
    FROM generate_series(%(start)s::int, %(stop)s::int - 1) AS n,
        LATERAL (SELECT jsonb_build_array(1706745600000 + n * 1000::bigint, 3) AS version) AS clock
)
"""
USERS = """
INSERT INTO accounts_user (id, clerk_id, username, password, email, email_verified, first_name, last_name,
    image_url, banned, is_active, is_staff, is_superuser, date_joined, created_at, updated_at, deleted_by,
    created_via, field_versions)
SELECT gen_random_uuid(), clerk_id, username, '!', email, email_verified, first_name, last_name, image_url,
    false, true, false, false, now(), now(), now(), '', 'backfill', field_versions
FROM made_up
"""
MEMBERS = """
, members AS (
    INSERT INTO members_member (clerk_id, username, password, email, email_verified, first_name, last_name,
        image_url, is_active, is_staff, is_superuser, date_joined)
    SELECT clerk_id, username, '!', email, email_verified, first_name, last_name, image_url, true, false,
        false, now()
    FROM made_up
    RETURNING id, clerk_id
)
INSERT INTO accounts_clerkaccount (user_id, clerk_id, email, email_verified, first_name, last_name, image_url,
    banned, is_active, is_staff, created_at, updated_at, deleted_by, created_via, field_versions)
SELECT members.id, clerk_id, email, email_verified, first_name, last_name, image_url, false, true, false,
    now(), now(), '', 'backfill', field_versions
FROM made_up JOIN members USING (clerk_id)
"""


def made_up_user(number: int) -> ClerkUser:
    """Return a made-up user that is not banned."""
    return replace(generated_user(number), banned=False)


def insert_users(connection: psycopg.Connection[tuple[object, ...]], *, start: int, stop: int) -> None:
    """Insert the rows of the users from `start` up to, not including, `stop`."""
    _insert(connection, MADE_UP + USERS, start=start, stop=stop)


def insert_members(connection: psycopg.Connection[tuple[object, ...]], *, start: int, stop: int) -> None:
    """Insert the same users as members with their accounts, for `benchmarks.account_settings`."""
    _insert(connection, MADE_UP + MEMBERS, start=start, stop=stop)


def _insert(
    connection: psycopg.Connection[tuple[object, ...]], statement: LiteralString, *, start: int, stop: int
) -> None:
    names = {"first_names": list(FIRST_NAMES), "last_names": list(LAST_NAMES)}
    connection.execute(statement.replace(" % ", " %% "), {**names, "start": start, "stop": stop})


def renamed(user: ClerkUser, *, later: int) -> ClerkUser:
    """Return the user with another first name, changed `later` milliseconds after."""
    return replace(user, first_name=f"New {later}", updated_at=user.updated_at + later)


def profile_of(user: ClerkUser) -> ClerkProfile:
    """Return the profile that the product reads from the Backend API for this user."""
    values = {**user.claims(), "banned": user.banned}
    return ClerkProfile(clerk_id=user.id, source=Source.API, at=user.updated_at, values=values)
