"""Deletions in Clerk and local deletions, and what later tokens, webhooks and pages may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import transaction

from accounts.clerk.profiles import Source
from accounts.models import CreatedVia, DeletedBy, User
from accounts.sync import (
    Outcome,
    UserDeleted,
    delete_locally,
    delete_user,
    restore_user,
    sync_user,
)
from tests.accounts.profiles import T, profile
from tests.accounts.rows import rows

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source


def test_deletion_in_clerk_is_final() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    assert delete_user("user_ada", at=T + 10) == Outcome.DELETED
    (row,) = rows()
    assert (row.deleted_by, row.deleted_at) == (DeletedBy.CLERK, datetime.fromtimestamp((T + 10) / 1000, UTC))
    assert sync_user(profile(WEBHOOK, T + 99, first_name="Zoe")).outcome == Outcome.STALE
    assert sync_user(profile(API, T + 99, first_name="Zoe")).outcome == Outcome.STALE
    with pytest.raises(UserDeleted):
        sync_user(profile(CLAIMS, T + 99, first_name="Zoe"))
    assert delete_user("user_ada", at=T + 99) == Outcome.STALE
    assert [(row.first_name, row.deleted_by) for row in rows()] == [("Ada", DeletedBy.CLERK)]


def test_deletion_before_the_creation_stores_a_deleted_row() -> None:
    assert delete_user("user_ada", at=T) == Outcome.DELETED
    assert sync_user(profile(WEBHOOK, T - 5, first_name="Ada")).outcome == Outcome.STALE
    (row,) = rows()
    assert (row.first_name, row.email, row.deleted_by) == ("", None, DeletedBy.CLERK)
    assert row.created_via == CreatedVia.WEBHOOK
    assert not row.has_usable_password()


def test_deletion_in_clerk_marks_the_live_row_of_several() -> None:
    first = sync_user(profile(CLAIMS)).identity
    assert first
    delete_locally(first)
    second = sync_user(profile(CLAIMS)).identity
    assert second
    delete_locally(second)
    first.refresh_from_db()
    restore_user(first, at=T)
    assert delete_user("user_ada", at=T + 1) == Outcome.DELETED
    assert [(row.pk, row.deleted_by) for row in rows()] == [
        (first.pk, DeletedBy.CLERK),
        (second.pk, DeletedBy.LOCAL),
    ]


@pytest.mark.parametrize("delete", [delete_locally, lambda user: delete_user(user.clerk_id, at=T)])
def test_deletion_changes_updated_at(delete: Callable[[User], Outcome]) -> None:
    before = sync_user(profile(WEBHOOK)).identity
    assert before
    delete(before)
    assert rows()[0].updated_at > before.updated_at


def test_refused_session_keeps_the_outer_transaction() -> None:
    delete_user("user_ada", at=T)
    with transaction.atomic():
        with pytest.raises(UserDeleted):
            sync_user(profile(CLAIMS))
        assert User.objects.count() == 1


def test_sign_in_after_a_local_deletion_creates_a_new_row() -> None:
    old = sync_user(profile(WEBHOOK, first_name="Ada")).identity
    assert old
    assert delete_locally(old) == Outcome.DELETED
    fresh = sync_user(profile(CLAIMS, T + 1000, first_name="Ada")).identity
    assert fresh
    assert fresh.pk != old.pk
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL, ""]


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_webhook_or_page_after_a_local_deletion_is_stale(source: Source) -> None:
    old = sync_user(profile(WEBHOOK, first_name="Ada")).identity
    assert old
    delete_locally(old)
    assert sync_user(profile(source, T + 9, first_name="Zoe")).outcome == Outcome.STALE
    assert len(rows()) == 1


def test_new_row_inherits_the_ban_and_no_rights() -> None:
    old = sync_user(profile(WEBHOOK, banned=True)).identity
    assert old
    User.objects.filter(pk=old.pk).update(is_active=False, is_staff=True, is_superuser=True)
    delete_locally(old)
    fresh = sync_user(profile(CLAIMS, T + 1000)).identity
    assert fresh
    assert (fresh.banned, fresh.is_active, fresh.is_staff, fresh.is_superuser) == (True, False, False, False)
    # Clerk may end the ban later, but not with an event older than the ban.
    sync_user(profile(WEBHOOK, T - 1, banned=False))
    assert User.objects.get(pk=fresh.pk).banned
    sync_user(profile(WEBHOOK, T + 1, banned=False))
    assert not User.objects.get(pk=fresh.pk).banned


def test_new_row_inherits_from_the_newest_predecessor() -> None:
    for inactive in (True, False):
        row = sync_user(profile(CLAIMS)).identity
        assert row
        User.objects.filter(pk=row.pk).update(is_active=not inactive)
        delete_locally(row)
    fresh = sync_user(profile(CLAIMS)).identity
    assert fresh
    assert fresh.is_active


def test_second_local_deletion_is_stale() -> None:
    row = sync_user(profile(CLAIMS)).identity
    assert row
    delete_locally(row)
    assert delete_locally(row) == Outcome.STALE


def test_deletion_in_clerk_marks_the_newest_locally_deleted_row() -> None:
    for _ in range(2):
        row = sync_user(profile(CLAIMS)).identity
        assert row
        delete_locally(row)
    assert delete_user("user_ada", at=T) == Outcome.DELETED
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL, DeletedBy.CLERK]
    with pytest.raises(UserDeleted):
        sync_user(profile(CLAIMS))


def test_latest_of_several_deletions_counts_in_any_order() -> None:
    delete_user("user_other", at=T)
    for at in (T + 20, T + 30, T + 10):
        delete_user("user_ada", at=at)
    assert [row.deleted_at for row in rows()] == [datetime.fromtimestamp((T + 30) / 1000, UTC)]
    other = User.objects.get(clerk_id="user_other")
    assert other.deleted_at == datetime.fromtimestamp(T / 1000, UTC)
