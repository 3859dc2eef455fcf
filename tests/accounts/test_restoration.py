"""Restorations of deleted rows, and the deletions that refuse them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction

from accounts.clerk.profiles import Source
from accounts.models import DeletedBy, User
from accounts.sync import (
    Outcome,
    RestoreRefused,
    delete_locally,
    delete_user,
    restore_user,
    sync_user,
)
from tests.accounts.profiles import T, profile
from tests.accounts.rows import rows

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source


def test_restoration_makes_older_deletions_stale() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    delete_user("user_ada", at=T + 10)
    row = restore_user(rows()[0], at=T + 50)
    assert row.deleted_at is None
    assert delete_user("user_ada", at=T + 10) == Outcome.STALE
    assert delete_user("user_ada", at=T + 50) == Outcome.STALE
    assert sync_user(profile(CLAIMS, T + 1000)).outcome == Outcome.UNCHANGED
    assert delete_user("user_ada", at=T + 51) == Outcome.DELETED


def test_deletion_before_a_restoration_is_stale_for_a_later_row() -> None:
    sync_user(profile(WEBHOOK))
    delete_user("user_ada", at=T + 10)
    restored = restore_user(rows()[0], at=T + 50)
    delete_locally(restored)
    assert delete_user("user_ada", at=T + 10) == Outcome.STALE
    sync_user(profile(CLAIMS))
    assert delete_user("user_ada", at=T + 10) == Outcome.STALE
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL, ""]


@pytest.mark.parametrize("first", [delete_locally, lambda user: delete_user(user.clerk_id, at=T)])
@pytest.mark.parametrize("later", [0, 1, 60_000])
def test_user_deleted_after_the_api_answer_is_not_restored(
    first: Callable[[User], Outcome], later: int
) -> None:
    row = sync_user(profile(WEBHOOK)).identity
    assert row
    first(row)
    row.refresh_from_db()
    delete_user("user_ada", at=T + 10 + later)
    with pytest.raises(RestoreRefused) as caught:
        restore_user(row, at=T + 10)
    assert caught.value.reason == "deleted_meanwhile"
    (row,) = rows()
    assert row.deleted_by == DeletedBy.CLERK
    # A newer answer of the Backend API may contain the user again.
    assert restore_user(row, at=T + 11 + later).deleted_at is None


def test_row_read_before_the_deletion_is_not_restored() -> None:
    row = sync_user(profile(WEBHOOK)).identity
    assert row
    delete_user("user_ada", at=T + 10)
    with pytest.raises(RestoreRefused, match="deleted_meanwhile"):
        restore_user(row, at=T + 20)


def test_deleted_row_beside_a_live_row_cannot_be_restored() -> None:
    old = sync_user(profile(CLAIMS)).identity
    assert old
    delete_locally(old)
    sync_user(profile(CLAIMS))
    with pytest.raises(RestoreRefused) as caught:
        restore_user(old, at=T)
    assert (caught.value.reason, str(caught.value)) == ("live_row_exists",) * 2


def test_live_row_cannot_be_restored() -> None:
    live = sync_user(profile(CLAIMS)).identity
    assert live
    with pytest.raises(RestoreRefused) as caught:
        restore_user(live, at=T)
    assert caught.value.reason == "not_deleted"


def test_removed_row_cannot_be_restored() -> None:
    removed = sync_user(profile(CLAIMS)).identity
    assert removed
    delete_locally(removed)
    User.objects.filter(clerk_id="user_ada").delete()
    with pytest.raises(RestoreRefused) as caught:
        restore_user(removed, at=T)
    assert caught.value.reason == "row_missing"


def test_refused_restoration_keeps_the_transaction_of_the_caller() -> None:
    live = sync_user(profile(CLAIMS)).identity
    assert live
    with transaction.atomic():
        with pytest.raises(RestoreRefused):
            restore_user(live, at=T)
        delete_locally(live)
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL]


def test_restoration_leaves_deleted_rows_of_other_users() -> None:
    delete_user("user_other", at=T)
    row = sync_user(profile(CLAIMS)).identity
    assert row
    delete_locally(row)
    row.refresh_from_db()
    restore_user(row, at=T)
    assert User.objects.get(clerk_id="user_other").deleted_by == DeletedBy.CLERK


def test_restored_row_leaves_no_row_deleted_in_clerk() -> None:
    first = sync_user(profile(CLAIMS)).identity
    assert first
    delete_locally(first)
    second = sync_user(profile(CLAIMS)).identity
    assert second
    delete_user("user_ada", at=T)
    first.refresh_from_db()
    restore_user(first, at=T + 1)
    assert [(row.pk, row.deleted_by) for row in rows()] == [(first.pk, ""), (second.pk, DeletedBy.LOCAL)]


def test_local_staff_can_be_deleted_and_restored() -> None:
    helga, _ = (User.objects.create_user(name, password="x") for name in ("helga", "ingrid"))
    assert delete_locally(helga) == Outcome.DELETED
    helga.refresh_from_db()
    assert restore_user(helga, at=T).deleted_at is None
