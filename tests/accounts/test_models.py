"""The table of users, and the look-up of the warm request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.bulk.page_sync import sync_page
from accounts.models import CreatedVia, User
from accounts.sync import delete_user, restore_user, sync_user
from tests.accounts.plans import plans
from tests.accounts.profiles import profile
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
Count = Callable[[int], Any]
LATER = 4_000_000_000_000  # ms


def test_prepared_look_up_returns_the_row_of_get() -> None:
    made = UserFactory.create(clerk_id="user_ada", image_url="https://img.test/a", banned=True, is_staff=True)
    User.objects.filter(pk=made.pk).update(field_versions={"email": [5, 1]}, last_login=timezone.now())
    plain = User.objects.get(clerk_id="user_ada")
    fast = User.objects.by_clerk_id("user_ada")
    assert fast
    for field in User._meta.concrete_fields:
        one, other = getattr(fast, field.attname), getattr(plain, field.attname)
        assert (type(one), one) == (type(other), other), field.name
    assert (fast._state.adding, fast._state.db) == (False, "default")


def test_prepared_look_up_is_one_statement_without_versions(
    django_assert_num_queries: Count,
) -> None:
    UserFactory.create(clerk_id="user_ada")
    with django_assert_num_queries(1):
        user = User.objects.by_clerk_id("user_ada")
    assert user
    with django_assert_num_queries(1):
        assert user.field_versions == {}


def test_row_of_the_prepared_look_up_can_be_saved() -> None:
    UserFactory.create(clerk_id="user_ada", first_name="Ada")
    User.objects.filter(clerk_id="user_ada").update(field_versions={"email": [5, 1]})
    user = User.objects.by_clerk_id("user_ada")
    assert user
    user.first_name = "Augusta"
    user.save()
    assert User.objects.values_list("first_name", "field_versions").get() == ("Augusta", {"email": [5, 1]})


def test_prepared_look_up_finds_only_live_rows() -> None:
    UserFactory.create(clerk_id="user_ada", deleted_at=timezone.now(), deleted_by="local")
    assert User.objects.by_clerk_id("user_ada") is None
    assert User.objects.by_clerk_id("user_unknown") is None
    live = UserFactory.create(clerk_id="user_ada")
    assert User.objects.by_clerk_id("user_ada") == live


@pytest.mark.parametrize("clerk_id", ["user_%", "user_' OR 1=1", "user_\\"])
def test_clerk_id_is_a_parameter_and_never_sql(clerk_id: str) -> None:
    UserFactory.create()
    assert User.objects.by_clerk_id(clerk_id) is None


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd")
def test_prepared_look_up_uses_the_partial_index() -> None:
    with plans() as found:
        User.objects.by_clerk_id("user_00000001")
    (plan,) = found
    assert "Index Scan using one_live_row_per_clerk_id" in plan


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    "work",
    [
        lambda: sync_user(profile(clerk_id="user_new")),
        lambda: sync_page([profile(clerk_id=f"user_new{number}") for number in range(20)], source="backfill"),
        lambda: delete_user("user_new", at=1_800_000_000_000),
        lambda: restore_user(UserFactory.create(deleted_at=timezone.now(), deleted_by="clerk"), at=LATER),
    ],
    ids=["sync", "page", "deletion", "restoration"],
)
def test_no_write_scans_the_table(work: Callable[[], object]) -> None:
    with plans() as found:
        work()
    assert found
    assert "Seq Scan" not in "\n".join(found)


def test_second_live_row_of_a_user_is_impossible() -> None:
    UserFactory.create(clerk_id="user_ada")
    with pytest.raises(IntegrityError), transaction.atomic():
        UserFactory.create(clerk_id="user_ada")


def test_a_user_may_have_several_deleted_rows() -> None:
    for _ in range(3):
        UserFactory.create(clerk_id="user_ada", deleted_at=timezone.now(), deleted_by="local")
    UserFactory.create(clerk_id="user_ada")
    assert User.objects.count() == 4
    assert User.objects.live().count() == 1


def test_live_or_deleted_returns_all_rows() -> None:
    UserFactory.create(clerk_id="user_ada", deleted_at=timezone.now(), deleted_by="local")
    UserFactory.create(clerk_id="user_ada")
    UserFactory.create(clerk_id=None)
    assert User.objects.live_or_deleted().count() == 3
    assert User.objects.live_or_deleted().filter(clerk_id="user_ada").count() == 2


def test_migrations_match_the_models() -> None:
    call_command("makemigrations", "accounts", check=True, dry_run=True, verbosity=0)


def test_local_staff_are_created_as_usual_in_django() -> None:
    helga = User.objects.create_superuser("helga", password="a long password")
    assert (helga.clerk_id, helga.email, helga.created_via) == (None, None, CreatedVia.LOCAL)
    assert helga.check_password("a long password")
    User.objects.create_user("olaf")
    assert User.objects.live().count() == 2
