"""The people of all suites: made up by number, in Python and, by the million, in SQL."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from accounts.clerk.profiles import ClerkProfile, Source
from devclerk.users import FIRST_NAMES, LAST_NAMES, ClerkUser, generated_user

# The same people as `person` makes. Versions as a backfill leaves them; whom a session names, this row fits.
INSERT = """
INSERT INTO accounts_user (id, clerk_id, username, password, email, email_verified, first_name, last_name,
    image_url, banned, is_active, is_staff, is_superuser, date_joined, created_at, updated_at, deleted_by,
    created_via, field_versions)
SELECT gen_random_uuid(), 'user_2madeUp' || lpad(n::text, 20, '0'), 'clerk-' || md5(n::text), '!',
    CASE WHEN n % 20 > 0 THEN 'person' || n || '@example.test' END, n % 20 > 0 AND n % 7 > 0,
    (%(first_names)s::text[])[n % 10 + 1], (%(last_names)s::text[])[n / 10 % 10 + 1],
    'https://img.example.test/person' || n || '.png', false, true, false, false, now(), now(), now(), '',
    'backfill', jsonb_build_object('email', version, 'email_verified', version, 'first_name', version,
        'last_name', version, 'image_url', version, 'banned', version)
FROM generate_series(%(start)s::int, %(stop)s::int - 1) AS n,
    LATERAL (SELECT jsonb_build_array(1706745600000 + n * 1000::bigint, 3) AS version) AS clock
"""


def person(number: int) -> ClerkUser:
    """Give a made-up person who is not banned."""
    return replace(generated_user(number), banned=False)


def insert_people(connection: psycopg.Connection[tuple[object, ...]], *, start: int, stop: int) -> None:
    """Insert the rows of the people from `start` up to `stop`."""
    names = {"first_names": list(FIRST_NAMES), "last_names": list(LAST_NAMES)}
    connection.execute(INSERT.replace(" % ", " %% "), {**names, "start": start, "stop": stop})


def renamed(who: ClerkUser, *, later: int) -> ClerkUser:
    """Give the person under another name, `later` milliseconds after."""
    return replace(who, first_name=f"New {later}", updated_at=who.updated_at + later)


def profile_of(who: ClerkUser) -> ClerkProfile:
    """Give the profile that the API's answer about a person becomes."""
    values = {**who.claims(), "banned": who.banned}
    return ClerkProfile(clerk_id=who.id, source=Source.API, at=who.updated_at, values=values)
