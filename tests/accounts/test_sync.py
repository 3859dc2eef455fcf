"""What becomes of a person's rows: creation, change, deletion of either kind, restoration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, transaction

from accounts.clerk.profiles import Source
from accounts.db import failure_reason
from accounts.models import CreatedVia, DeletedBy, User
from accounts.sync import (
    Outcome,
    RestoreRefused,
    UserDeleted,
    delete_locally,
    delete_user,
    restore_user,
    sync_user,
)
from tests.accounts.profiles import T, profile

pytestmark = pytest.mark.django_db(transaction=True)
CLAIMS, WEBHOOK, API = Source
News = list[dict[str, Any]]


def rows() -> list[User]:
    return list(User.objects.filter(clerk_id="user_ada").order_by("created_at"))


@pytest.mark.parametrize(
    ("source", "via"),
    [(CLAIMS, CreatedVia.REQUEST), (WEBHOOK, CreatedVia.WEBHOOK), (API, CreatedVia.BACKFILL)],
)
def test_whoever_is_new_gets_a_row(source: Source, via: CreatedVia) -> None:
    synced = sync_user(profile(source, email="ada@example.test", first_name="Ada"))
    assert synced.outcome == Outcome.CREATED
    (row,) = rows()
    assert synced.user == row
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


def test_local_staff_are_never_taken_for_somebody_new() -> None:
    staff = User.objects.create_superuser("olaf")
    synced = sync_user(profile(CLAIMS, first_name="Ada"))
    (row,) = rows()
    assert synced.user == row != staff
    assert not row.is_staff


def test_a_change_is_written_and_moves_the_time_of_the_row() -> None:
    before = sync_user(profile(WEBHOOK, first_name="Ada")).user
    synced = sync_user(profile(WEBHOOK, T + 1, first_name="Augusta"))
    (row,) = rows()
    assert (synced.outcome, row.first_name) == (Outcome.UPDATED, "Augusta")
    assert before
    assert row.updated_at > before.updated_at
    assert synced.user
    assert synced.user.updated_at == row.updated_at
    assert row.field_versions == {"first_name": [T + 1, WEBHOOK]}


def test_a_newer_version_of_the_same_leaves_the_time_of_the_row() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    (before,) = rows()
    synced = sync_user(profile(WEBHOOK, T + 5, first_name="Ada"))
    assert synced.outcome == Outcome.UNCHANGED
    assert synced.user
    assert synced.user.field_versions == {"first_name": (T + 5, WEBHOOK)}
    (row,) = rows()
    assert row.field_versions == {"first_name": [T + 5, WEBHOOK]}
    assert row.updated_at == before.updated_at


def test_an_older_word_is_stale_and_gives_the_row_as_it_is() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    synced = sync_user(profile(WEBHOOK, T - 5, first_name="Zoe"))
    assert synced.outcome == Outcome.STALE
    assert synced.user
    assert synced.user.first_name == "Ada"


def test_somebody_without_any_claims_gets_an_empty_row() -> None:
    row = sync_user(profile(CLAIMS)).user
    assert row
    assert (row.email, row.first_name, row.field_versions) == (None, "", {})


# Deleted by Clerk


def test_a_deletion_is_terminal() -> None:
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


def test_a_deletion_before_the_creation_leaves_a_tombstone() -> None:
    assert delete_user("user_ada", at=T) == Outcome.DELETED
    assert sync_user(profile(WEBHOOK, T - 5, first_name="Ada")).outcome == Outcome.STALE
    (row,) = rows()
    assert (row.first_name, row.email, row.deleted_by) == ("", None, DeletedBy.CLERK)
    assert row.created_via == CreatedVia.WEBHOOK
    assert not row.has_usable_password()


def test_a_deletion_buries_the_live_row_even_if_another_was_deleted_after_it_was_made() -> None:
    first = sync_user(profile(CLAIMS)).user
    assert first
    delete_locally(first)
    second = sync_user(profile(CLAIMS)).user
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
def test_a_deletion_moves_the_time_of_the_row(delete: Callable[[User], Outcome]) -> None:
    before = sync_user(profile(WEBHOOK)).user
    assert before
    delete(before)
    assert rows()[0].updated_at > before.updated_at


def test_a_refused_session_does_not_break_the_transaction_around_it() -> None:
    delete_user("user_ada", at=T)
    with transaction.atomic():
        with pytest.raises(UserDeleted):
            sync_user(profile(CLAIMS))
        assert User.objects.count() == 1


# Deleted here


def test_a_sign_in_after_a_deletion_here_makes_a_fresh_row_and_the_old_one_stays() -> None:
    old = sync_user(profile(WEBHOOK, first_name="Ada")).user
    assert old
    assert delete_locally(old) == Outcome.DELETED
    fresh = sync_user(profile(CLAIMS, T + 1000, first_name="Ada")).user
    assert fresh
    assert fresh.pk != old.pk
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL, ""]


@pytest.mark.parametrize("source", [WEBHOOK, API])
def test_news_passes_over_people_deleted_here(source: Source) -> None:
    old = sync_user(profile(WEBHOOK, first_name="Ada")).user
    assert old
    delete_locally(old)
    assert sync_user(profile(source, T + 9, first_name="Zoe")).outcome == Outcome.STALE
    assert len(rows()) == 1


def test_deleting_here_never_unblocks_and_never_hands_on_rights() -> None:
    old = sync_user(profile(WEBHOOK, banned=True)).user
    assert old
    User.objects.filter(pk=old.pk).update(is_active=False, is_staff=True, is_superuser=True)
    delete_locally(old)
    fresh = sync_user(profile(CLAIMS, T + 1000)).user
    assert fresh
    assert (fresh.banned, fresh.is_active, fresh.is_staff, fresh.is_superuser) == (True, False, False, False)
    # And Clerk may lift the ban later, but not by a word older than the ban.
    sync_user(profile(WEBHOOK, T - 1, banned=False))
    assert User.objects.get(pk=fresh.pk).banned
    sync_user(profile(WEBHOOK, T + 1, banned=False))
    assert not User.objects.get(pk=fresh.pk).banned


def test_a_fresh_row_inherits_from_the_newest_of_its_predecessors() -> None:
    for inactive in (True, False):
        row = sync_user(profile(CLAIMS)).user
        assert row
        User.objects.filter(pk=row.pk).update(is_active=not inactive)
        delete_locally(row)
    fresh = sync_user(profile(CLAIMS)).user
    assert fresh
    assert fresh.is_active


def test_deleting_here_twice_is_stale() -> None:
    row = sync_user(profile(CLAIMS)).user
    assert row
    delete_locally(row)
    assert delete_locally(row) == Outcome.STALE


def test_a_deletion_by_clerk_turns_the_newest_row_deleted_here_into_the_tombstone() -> None:
    for _ in range(2):
        row = sync_user(profile(CLAIMS)).user
        assert row
        delete_locally(row)
    assert delete_user("user_ada", at=T) == Outcome.DELETED
    assert [row.deleted_by for row in rows()] == [DeletedBy.LOCAL, DeletedBy.CLERK]
    with pytest.raises(UserDeleted):
        sync_user(profile(CLAIMS))


def test_local_staff_can_be_deleted_and_restored_too() -> None:
    helga, _ = (User.objects.create_user(name, password="x") for name in ("helga", "ingrid"))
    assert delete_locally(helga) == Outcome.DELETED
    helga.refresh_from_db()
    assert restore_user(helga, at=T).deleted_at is None


# Restored


def test_a_restoration_ends_a_deletion_and_makes_older_deletions_stale() -> None:
    sync_user(profile(WEBHOOK, first_name="Ada"))
    delete_user("user_ada", at=T + 10)
    row = restore_user(rows()[0], at=T + 50)
    assert row.deleted_at is None
    assert delete_user("user_ada", at=T + 10) == Outcome.STALE
    assert delete_user("user_ada", at=T + 50) == Outcome.STALE
    assert sync_user(profile(CLAIMS, T + 1000)).outcome == Outcome.UNCHANGED
    assert delete_user("user_ada", at=T + 51) == Outcome.DELETED


def test_a_deletion_older_than_the_restoration_is_stale_for_a_later_row_too() -> None:
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
def test_whom_clerk_has_deleted_since_it_was_asked_is_not_restored(
    first: Callable[[User], Outcome], later: int
) -> None:
    row = sync_user(profile(WEBHOOK)).user
    assert row
    first(row)
    row.refresh_from_db()
    delete_user("user_ada", at=T + 10 + later)
    with pytest.raises(RestoreRefused) as caught:
        restore_user(row, at=T + 10)
    assert caught.value.reason == "deleted_meanwhile"
    (row,) = rows()
    assert row.deleted_by == DeletedBy.CLERK
    # A newer answer may say that the person lives after all.
    assert restore_user(row, at=T + 11 + later).deleted_at is None


def test_who_was_read_before_the_deletion_is_not_restored() -> None:
    row = sync_user(profile(WEBHOOK)).user
    assert row
    delete_user("user_ada", at=T + 10)
    with pytest.raises(RestoreRefused, match="deleted_meanwhile"):
        restore_user(row, at=T + 20)


def test_of_several_deletions_the_latest_counts_in_whatever_order() -> None:
    delete_user("user_other", at=T)
    for at in (T + 20, T + 30, T + 10):
        delete_user("user_ada", at=at)
    assert [row.deleted_at for row in rows()] == [datetime.fromtimestamp((T + 30) / 1000, UTC)]
    other = User.objects.get(clerk_id="user_other")
    assert other.deleted_at == datetime.fromtimestamp(T / 1000, UTC)


def test_nobody_is_restored_beside_a_live_row() -> None:
    old = sync_user(profile(CLAIMS)).user
    assert old
    delete_locally(old)
    sync_user(profile(CLAIMS))
    with pytest.raises(RestoreRefused) as caught:
        restore_user(old, at=T)
    assert (caught.value.reason, str(caught.value)) == ("live_row_exists",) * 2


def test_a_live_row_cannot_be_restored() -> None:
    live = sync_user(profile(CLAIMS)).user
    assert live
    with pytest.raises(RestoreRefused) as caught:
        restore_user(live, at=T)
    assert caught.value.reason == "live_row_exists"


def test_somebody_who_was_scrubbed_meanwhile_cannot_be_restored() -> None:
    gone = sync_user(profile(CLAIMS)).user
    assert gone
    delete_locally(gone)
    User.objects.filter(clerk_id="user_ada").delete()
    with pytest.raises(RestoreRefused) as caught:
        restore_user(gone, at=T)
    assert caught.value.reason == "not_deleted"


def test_a_restoration_leaves_the_tombstones_of_others() -> None:
    delete_user("user_other", at=T)
    row = sync_user(profile(CLAIMS)).user
    assert row
    delete_locally(row)
    row.refresh_from_db()
    restore_user(row, at=T)
    assert User.objects.get(clerk_id="user_other").deleted_by == DeletedBy.CLERK


def test_a_failure_of_the_database_is_named_without_its_text() -> None:
    assert failure_reason(OperationalError("a lock of (ada@example.test)")) == "database_error"


def test_no_tombstone_stays_beside_a_restored_row() -> None:
    first = sync_user(profile(CLAIMS)).user
    assert first
    delete_locally(first)
    second = sync_user(profile(CLAIMS)).user
    assert second
    delete_user("user_ada", at=T)
    first.refresh_from_db()
    restore_user(first, at=T + 1)
    assert [(row.pk, row.deleted_by) for row in rows()] == [(first.pk, ""), (second.pk, DeletedBy.LOCAL)]
