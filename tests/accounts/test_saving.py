"""`User.save()` does not write unchanged values over newer ones."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
from accounts.sync import Outcome, delete_locally, delete_user, sync_user
from tests.accounts.profiles import T, profile
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ADA = "user_ada"
NEW = "q9!xkWm2vL-long"
Load = Callable[[], User]


def load_by_request() -> User:
    user = User.objects.by_clerk_id(ADA)
    assert user
    return user


def load_by_first_request() -> User:
    User.objects.all().delete()
    user: User = sync_user(profile(Source.CLAIMS, first_name="Ada")).identity
    return user


def load_by_updating_request() -> User:
    user: User = sync_user(profile(Source.CLAIMS, T + 1, first_name="Augusta")).identity
    return user


LOADS = {
    "get": lambda: User.objects.get(clerk_id=ADA),
    "request": load_by_request,
    "first request": load_by_first_request,
    "updating request": load_by_updating_request,
    "only": lambda: User.objects.only("banned", "deleted_at", "deleted_by", "last_name").get(clerk_id=ADA),
    "pickled": lambda: pickle.loads(pickle.dumps(load_by_request())),  # noqa: S301 - our own
}


@pytest.fixture(params=LOADS)
def load(request: pytest.FixtureRequest) -> Load:
    """Create Ada, and return a function that loads her row as a view might."""
    sync_user(profile(Source.CLAIMS, first_name="Ada"))
    function: Load = LOADS[request.param]
    return function


@pytest.fixture
def ada() -> User:
    return UserFactory.create(clerk_id=ADA, first_name="Ada", field_versions={"first_name": [T, 1]})


def row() -> User:
    return User.objects.get(clerk_id=ADA)


def test_save_does_not_undo_a_deletion(load: Load) -> None:
    held = load()
    delete_user(ADA, at=T + 10)
    held.last_name = "Assigned"
    held.save()
    assert (row().deleted_by, row().last_name) == (DeletedBy.CLERK, "Assigned")
    assert row().deleted_at is not None


def test_save_does_not_undo_a_ban_or_newer_data(load: Load) -> None:
    held = load()
    sync_user(profile(Source.WEBHOOK, T + 10, banned=True, first_name="Countess"))
    before = row()
    held.last_name = "Assigned"
    held.save()
    after = row()
    assert (after.banned, after.first_name, after.last_name) == (True, "Countess", "Assigned")
    assert after.field_versions == before.field_versions
    assert after.updated_at == before.updated_at
    # An older event is still stale.
    assert sync_user(profile(Source.WEBHOOK, T + 5, banned=False, first_name="Ada")).outcome == Outcome.STALE


def test_save_does_not_undo_a_deactivation(load: Load) -> None:
    held = load()
    User.objects.filter(clerk_id=ADA).update(is_active=False)
    held.save()
    assert not row().is_active


def test_second_save_does_not_undo_a_deletion(load: Load) -> None:
    held = load()
    held.last_name = "Once"
    held.save()
    delete_user(ADA, at=T + 10)
    held.last_login = timezone.now()
    held.save()
    assert row().deleted_by == DeletedBy.CLERK


@pytest.mark.parametrize("column", ["first_name", "email", "is_active", "deleted_at", "field_versions"])
def test_each_assigned_value_is_saved(ada: User, column: str) -> None:
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


def test_expression_is_saved_each_time(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    for value in (Upper("first_name"), "Ada", Upper("first_name")):
        held.first_name = value
        held.save()
    assert row().first_name == "ADA"


def save_and_roll_back(user: User) -> None:
    with transaction.atomic():
        user.save()
        transaction.set_rollback(True)


def test_value_is_saved_again_after_a_rollback(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    held.first_name = "Zoe"
    save_and_roll_back(held)
    assert row().first_name == "Ada"
    held.save()
    assert row().first_name == "Zoe"


def test_new_row_is_saved_again_after_a_rollback() -> None:
    fresh = UserFactory.build(clerk_id=ADA)
    save_and_roll_back(fresh)
    fresh.save()
    assert row().email == fresh.email


def test_assignment_after_a_refresh_is_saved(ada: User) -> None:
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
def test_refresh_replaces_the_loaded_values(ada: User, fields: list[str] | None) -> None:
    held = User.objects.get(pk=ada.pk)
    User.objects.filter(pk=ada.pk).update(first_name="Zoe")
    held.refresh_from_db(fields=fields)
    User.objects.filter(pk=ada.pk).update(banned=True)
    held.first_name = "Ada"
    held.save()
    assert (row().first_name, row().banned) == ("Ada", True)


def test_refresh_from_a_partial_queryset_keeps_assignments(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    held.first_name = "Zoe"
    held.refresh_from_db(from_queryset=User.objects.only("banned"))
    held.save()
    assert row().first_name == "Zoe"


def test_deferred_column_is_not_written_back_after_a_read(ada: User) -> None:
    held = load_by_request()
    assert held.field_versions == {"first_name": [T, 1]}
    User.objects.filter(pk=ada.pk).update(field_versions={"first_name": [T + 1, 2]})
    held.save()
    assert row().field_versions == {"first_name": [T + 1, 2]}


def test_copy_with_another_key_has_all_columns(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    for number, key in enumerate((UserFactory.build().pk, None, None)):
        held.pk, held.username, held.clerk_id = key, f"another{number}", f"user_other{number}"
        held.save()
        assert User.objects.get(clerk_id=f"user_other{number}").first_name == "Ada"
    assert User.objects.count() == 4


def test_removed_row_is_not_inserted_again(ada: User) -> None:
    held = User.objects.get(pk=ada.pk)
    User.objects.all().delete()
    with pytest.raises(DatabaseError):
        held.save()
    assert not User.objects.exists()


def test_local_staff_are_saved_as_usual_in_django() -> None:
    helga = User.objects.create_user("helga")
    for name in ("Helga", "Olga"):
        helga.first_name, helga.is_staff = name, True
        helga.save()
        assert User.objects.get().first_name == name
    assert User.objects.get().is_staff


@contextmanager
def run_before_next_save(work: Callable[[], object], *, username: str = ADA) -> Iterator[None]:
    """Run `work` when the row of Ada, or of a local user, was loaded and is about to be written."""

    def receive(sender: type, instance: Any, **_: Any) -> None:
        if username in {instance.clerk_id, instance.username}:
            pre_save.disconnect(receive)
            work()

    pre_save.connect(receive)
    try:
        yield
    finally:
        assert not pre_save.disconnect(receive), "the row was not saved"


def test_new_password_from_the_admin_does_not_undo_a_deletion() -> None:
    local = User.objects.create_user("local")
    client = Client()
    client.force_login(User.objects.create_superuser("helga"))
    form = {"usable_password": "true", "password1": NEW, "password2": NEW, "set-password": "x"}
    with run_before_next_save(lambda: delete_locally(local), username="local"):
        assert client.post(f"/admin/accounts/user/{local.pk}/password/", form).status_code == 302
    local.refresh_from_db()
    assert (local.deleted_by, local.check_password(NEW)) == (DeletedBy.LOCAL, True)


def test_own_new_password_does_not_undo_a_deactivation() -> None:
    local = User.objects.create_user("local", password="the old one", is_staff=True)
    client = Client()
    client.force_login(local)
    form = {"old_password": "the old one", "new_password1": NEW, "new_password2": NEW}
    deactivate = partial(User.objects.filter(pk=local.pk).update, is_active=False)
    with run_before_next_save(deactivate, username="local"):
        assert client.post("/admin/password_change/", form).status_code == 302
    local.refresh_from_db()
    assert (local.is_active, local.check_password(NEW)) == (False, True)


def test_changepassword_does_not_undo_a_deletion(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: NEW)
    with run_before_next_save(lambda: delete_user(ADA, at=T + 10)):
        call_command("changepassword", ada.username, stdout=StringIO())
    assert (row().deleted_by, row().check_password(NEW)) == (DeletedBy.CLERK, True)
