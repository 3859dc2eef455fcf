"""`User.save()`: what a view did not change is not written back over what came meanwhile."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.db.models.functions import Upper
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone

from accounts.clerk.profiles import Source
from accounts.models import DeletedBy, User
from accounts.sync import Outcome, delete_user, sync_user
from tests.accounts.profiles import T, profile
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ADA = "user_ada"
NEW = "q9!xkWm2vL-long"
Load = Callable[[], User]


def by_request() -> User:
    user = User.objects.by_clerk_id(ADA)
    assert user
    return user


def by_first_request() -> User:
    User.objects.all().delete()
    user = sync_user(profile(Source.CLAIMS, first_name="Ada")).user
    assert user
    return user


def by_updating_request() -> User:
    user = sync_user(profile(Source.CLAIMS, T + 1, first_name="Augusta")).user
    assert user
    return user


LOADS = {
    "get": lambda: User.objects.get(clerk_id=ADA),
    "request": by_request,
    "first request": by_first_request,
    "updating request": by_updating_request,
    "only": lambda: User.objects.only("banned", "deleted_at", "deleted_by", "last_name").get(clerk_id=ADA),
    "pickled": lambda: pickle.loads(pickle.dumps(by_request())),  # noqa: S301 - our own
}


@pytest.fixture(params=LOADS)
def load(request: pytest.FixtureRequest) -> Load:
    """Make Ada, and give a way in which a view comes by her row."""
    sync_user(profile(Source.CLAIMS, first_name="Ada"))
    way: Load = LOADS[request.param]
    return way


@pytest.fixture
def ada() -> User:
    return UserFactory.create(clerk_id=ADA, first_name="Ada", field_versions={"first_name": [T, 1]})


def row() -> User:
    return User.objects.get(clerk_id=ADA)


def test_a_save_does_not_undo_a_deletion(load: Load) -> None:
    held = load()
    delete_user(ADA, at=T + 10)
    held.last_name = "Assigned"
    held.save()
    assert (row().deleted_by, row().last_name) == (DeletedBy.CLERK, "Assigned")
    assert row().deleted_at is not None


def test_a_save_does_not_undo_a_ban_or_newer_data(load: Load) -> None:
    held = load()
    sync_user(profile(Source.WEBHOOK, T + 10, banned=True, first_name="Countess"))
    before = row()
    held.last_name = "Assigned"
    held.save()
    after = row()
    assert (after.banned, after.first_name, after.last_name) == (True, "Countess", "Assigned")
    assert after.field_versions == before.field_versions
    assert after.updated_at == before.updated_at
    # And an older fact is still older.
    assert sync_user(profile(Source.WEBHOOK, T + 5, banned=False, first_name="Ada")).outcome == Outcome.STALE


def test_a_save_does_not_let_in_again_whom_an_operator_shut_out(load: Load) -> None:
    held = load()
    User.objects.filter(clerk_id=ADA).update(is_active=False)
    held.save()
    assert not row().is_active


def test_a_second_save_is_as_careful_as_the_first(load: Load) -> None:
    held = load()
    held.last_name = "Once"
    held.save()
    delete_user(ADA, at=T + 10)
    held.last_login = timezone.now()
    held.save()
    assert row().deleted_by == DeletedBy.CLERK


@pytest.mark.parametrize("column", ["first_name", "email", "is_active", "deleted_at", "field_versions"])
def test_what_is_assigned_set_back_and_saved_each_time_is_in_the_database(ada: User, column: str) -> None:
    other = {
        "first_name": "Zoe",
        "email": "z@example.test",
        "is_active": False,
        "deleted_at": timezone.now(),
        "field_versions": {"first_name": [T + 1, 2]},
    }[column]
    held = User.objects.get(pk=ada.pk)
    for with_names in (False, True):
        first = getattr(held, column)
        for value in (other, first, other, first):
            setattr(held, column, value)
            held.save(update_fields=[column] if with_names and value == other else None)
            assert getattr(User.objects.get(pk=ada.pk), column) == value


def test_what_the_database_computed_is_computed_each_time(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    for value in (Upper("first_name"), "Ada", Upper("first_name")):
        held.first_name = value
        held.save()
    assert row().first_name == "ADA"


def save_and_roll_back(user: User) -> None:
    with transaction.atomic():
        user.save()
        transaction.set_rollback(True)


def test_what_was_rolled_back_is_saved_again(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    held.first_name = "Zoe"
    save_and_roll_back(held)
    assert row().first_name == "Ada"
    held.save()
    assert row().first_name == "Zoe"


def test_a_new_row_that_was_rolled_back_is_made_again() -> None:
    fresh = UserFactory.build(clerk_id=ADA)
    save_and_roll_back(fresh)
    fresh.save()
    assert row().email == fresh.email


def test_a_transaction_forgets_no_later_assignment(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    with transaction.atomic():
        held.first_name = "Zoe"
        held.save()
        User.objects.filter(pk=ada.pk).update(first_name="Eve")
        held.refresh_from_db()
    held.first_name = "Zoe"
    held.save()
    assert row().first_name == "Zoe"


@pytest.mark.parametrize("fields", [None, ["first_name", "banned"]])
def test_a_refresh_renews_what_is_known(ada: User, fields: list[str] | None) -> None:
    held = User.objects.get(pk=ada.pk)
    User.objects.filter(pk=ada.pk).update(first_name="Zoe")
    held.refresh_from_db(fields=fields)
    User.objects.filter(pk=ada.pk).update(banned=True)
    held.first_name = "Ada"
    held.save()
    assert (row().first_name, row().banned) == ("Ada", True)


def test_a_refresh_from_a_queryset_that_leaves_columns_alone_keeps_assignments(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    held.first_name = "Zoe"
    held.refresh_from_db(from_queryset=User.objects.only("banned"))
    held.save()
    assert row().first_name == "Zoe"


def test_a_deferred_column_is_not_written_back_after_it_was_looked_at(ada: User) -> None:
    held = by_request()
    assert held.field_versions == {"first_name": [T, 1]}
    User.objects.filter(pk=ada.pk).update(field_versions={"first_name": [T + 1, 2]})
    held.save()
    assert row().field_versions == {"first_name": [T + 1, 2]}


def test_a_copy_under_another_key_is_whole(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    for number, key in enumerate((UserFactory.build().pk, None, None)):
        held.pk, held.username, held.clerk_id = key, f"another{number}", f"user_other{number}"
        held.save()
        assert User.objects.get(clerk_id=f"user_other{number}").first_name == "Ada"
    assert User.objects.count() == 4


def test_a_row_that_is_gone_is_not_made_again(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    User.objects.all().delete()
    with pytest.raises(DatabaseError):
        held.save()
    assert not User.objects.exists()


def test_local_staff_are_saved_as_in_any_django() -> None:
    helga = User.objects.create_user("helga")
    for name in ("Helga", "Olga"):
        helga.first_name, helga.is_staff = name, True
        helga.save()
        assert User.objects.get().first_name == name
    assert User.objects.get().is_staff


@contextmanager
def before_adas_next_save(work: Callable[[], object]) -> Iterator[None]:
    """Do the work at the latest moment there is: the row was loaded, and is about to be written."""

    def at_once(sender: type, instance: Any, **_: Any) -> None:
        if instance.clerk_id == ADA:
            pre_save.disconnect(at_once)
            work()

    pre_save.connect(at_once)
    try:
        yield
    finally:
        assert not pre_save.disconnect(at_once), "nobody saved"


def test_a_new_password_from_the_admin_does_not_undo_a_deletion(ada: User) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("helga"))
    words = {"usable_password": "true", "password1": NEW, "password2": NEW, "set-password": "x"}
    with before_adas_next_save(lambda: delete_user(ADA, at=T + 10)):
        assert client.post(f"/admin/accounts/user/{ada.pk}/password/", words).status_code == 302
    assert (row().deleted_by, row().check_password(NEW)) == (DeletedBy.CLERK, True)


def test_ones_own_new_password_does_not_undo_a_ban(ada: User) -> None:
    ada.is_staff = True
    ada.set_password("the old one")
    ada.save()
    client = Client()
    client.force_login(ada)
    words = {"old_password": "the old one", "new_password1": NEW, "new_password2": NEW}
    with before_adas_next_save(lambda: sync_user(profile(Source.WEBHOOK, T + 10, banned=True))):
        assert client.post("/admin/password_change/", words).status_code == 302
    assert (row().banned, row().check_password(NEW)) == (True, True)


def test_changepassword_does_not_undo_a_deletion(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: NEW)
    with before_adas_next_save(lambda: delete_user(ADA, at=T + 10)):
        call_command("changepassword", ada.username, stdout=StringIO())
    assert (row().deleted_by, row().check_password(NEW)) == (DeletedBy.CLERK, True)
