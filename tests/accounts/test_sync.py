"""The sync of one user: creation, change and refusal."""

from __future__ import annotations

import pytest
from django.db import OperationalError

from accounts.clerk.profiles import Source
from accounts.db import failure_reason
from accounts.models import CreatedVia, User
from accounts.sync import (
    Outcome,
    sync_user,
)
from tests.accounts.profiles import T, profile
from tests.accounts.rows import rows

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source


@pytest.mark.parametrize(
    ("source", "via"),
    [(CLAIMS, CreatedVia.REQUEST), (WEBHOOK, CreatedVia.WEBHOOK), (API, CreatedVia.BACKFILL)],
)
def test_new_user_gets_a_row(source: Source, via: CreatedVia) -> None:
    synced = sync_user(profile(source, email="ada@example.test", first_name="Ada"))
    assert synced.outcome == Outcome.CREATED
    (row,) = rows()
    assert synced.identity == row
    assert (row.email, row.first_name, row.created_via, row.is_active) == (
        "ada@example.test",
        "Ada",
        via,
        True,
    )
    assert not row.has_usable_password()
    assert not row.is_staff
    assert row.field_versions == {
        "email": [T, source],
        "email_verified": [0, 0],
        "first_name": [T, source],
    }


def test_local_staff_are_never_synced() -> None:
    staff = User.objects.create_superuser("olaf")
    synced = sync_user(profile(CLAIMS, first_name="Ada"))
    (row,) = rows()
    assert synced.identity == row != staff
    assert not row.is_staff


def test_change_is_written_with_its_time() -> None:
    before = sync_user(profile(WEBHOOK, first_name="Ada")).identity
    synced = sync_user(profile(WEBHOOK, T + 1, first_name="Augusta"))
    (row,) = rows()
    assert (synced.outcome, row.first_name) == (Outcome.UPDATED, "Augusta")
    assert before
    assert row.updated_at > before.updated_at
    assert synced.identity
    assert synced.identity.updated_at == row.updated_at
    assert row.field_versions == {"first_name": [T + 1, WEBHOOK]}


def test_newer_version_of_equal_values_keeps_updated_at() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    (before,) = rows()
    synced = sync_user(profile(WEBHOOK, T + 5, first_name="Ada"))
    assert synced.outcome == Outcome.UNCHANGED
    assert synced.identity
    assert synced.identity.field_versions == {"first_name": (T + 5, WEBHOOK)}
    (row,) = rows()
    assert row.field_versions == {"first_name": [T + 5, WEBHOOK]}
    assert row.updated_at == before.updated_at


def test_older_profile_is_stale_and_returns_the_row() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    synced = sync_user(profile(WEBHOOK, T - 5, first_name="Zoe"))
    assert synced.outcome == Outcome.STALE
    assert synced.identity
    assert synced.identity.first_name == "Ada"


def test_session_without_claims_gets_an_empty_row() -> None:
    row = sync_user(profile(CLAIMS)).identity
    assert row
    assert (row.email, row.first_name, row.field_versions) == (None, "", {})


def test_failure_reason_omits_the_text_of_the_error() -> None:
    assert failure_reason(OperationalError("a lock of (ada@example.test)")) == "database_error"
