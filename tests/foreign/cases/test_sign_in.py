from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.test import Client
from pytest_django import Settings

from accounts.models import ClerkAccount, DeletedBy, User
from accounts.sync import Outcome, delete_locally
from tests.foreign.cases.conftest import Project
from tests.foreign.shop.models import Profile

pytestmark = pytest.mark.django_db(transaction=True)
THREADS = 16


def test_exactly_one_of_the_two_tables_exists() -> None:
    with connections["default"].cursor() as cursor:
        tables = connections["default"].introspection.table_names(cursor)
    assert ClerkAccount._meta.db_table in tables
    assert User._meta.db_table not in tables


def test_first_request_creates_account_user_and_profile(project: Project) -> None:
    response = project.get("ada")
    user = project.user_of("ada")
    assert (response.status_code, response.json()) == (200, {"user": user.pk, "has_profile": True})
    assert (user.email, getattr(user, project.name_column)) == ("ada@example.test", "Ada")
    assert not user.has_usable_password()
    assert user.get_username()


def test_warm_request_is_one_statement(project: Project, django_assert_num_queries: Any) -> None:
    from accounts.sign_in import sign_in

    project.get("ada")
    token = project.clerk.mint("ada")
    with django_assert_num_queries(1):
        signed_in = sign_in(token)
        assert signed_in.user.is_active
        assert signed_in.user.clerk_account.email == "ada@example.test"  # type: ignore[attr-defined]
    row = get_user_model()._default_manager.get(pk=signed_in.user.pk)
    for field in row._meta.concrete_fields:
        assert getattr(signed_in.user, field.attname) == getattr(row, field.attname), field.name
    account = signed_in.user.clerk_account  # type: ignore[attr-defined]
    stored = ClerkAccount.objects.get()
    for field in stored._meta.concrete_fields:  # a column that was left out is loaded when it is read
        assert getattr(account, field.attname) == getattr(stored, field.attname), field.name


@pytest.mark.postgresql
def test_parallel_first_requests_create_one_user(project: Project) -> None:
    new = project.clerk.new_person(email="new@example.test")

    def request(_: int) -> int:
        try:
            return int(project.get(new).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        statuses = list(pool.map(request, range(THREADS)))
    assert statuses == [200] * THREADS
    assert (ClerkAccount.objects.count(), project.users.count(), Profile.objects.count()) == (1, 1, 1)


def test_unverified_address_is_not_written(project: Project) -> None:
    assert project.get("alan").status_code == 200
    user = project.user_of("alan")
    assert user.email == "" or user.email.endswith("@clerk.invalid")
    assert ClerkAccount.objects.get().email == "alan@example.test"


def test_users_without_an_address_can_sign_in(project: Project) -> None:
    second = project.clerk.new_person(email=None, first_name="Second")
    assert [project.get(who).status_code for who in ("grace", second)] == [200, 200]
    assert project.users.count() == 2


def test_changed_claims_reach_the_user_and_other_columns_stay(project: Project) -> None:
    project.get("ada")
    user = project.user_of("ada")
    setattr(user, project.name_column, "By hand")
    user.save()
    project.clerk.update("ada", email="countess@example.test")
    assert project.get("ada").status_code == 200
    user = project.user_of("ada")
    assert (user.email, getattr(user, project.name_column)) == ("countess@example.test", "By hand")


def test_name_that_is_too_long_is_left_out_and_reported(
    project: Project, failures: Callable[[], list[tuple[str | None, str]]]
) -> None:
    assert project.get("long").status_code == 200
    assert getattr(project.user_of("long"), project.name_column) == ""
    reason = f"unusable_field:user.{project.name_column}"
    assert (project.clerk.person("long").id, reason) in failures()


def test_unique_conflict_is_left_out_and_reported(
    project: Project, failures: Callable[[], list[tuple[str | None, str]]]
) -> None:
    if project.has_user_names:
        pytest.skip("the address of auth.User is not unique")
    project.new_user("ada@example.test")
    assert project.get("ada").status_code == 200
    assert project.user_of("ada").email.endswith("@clerk.invalid")
    assert (project.clerk.person("ada").id, "unusable_field:user.email") in failures()
    assert project.get("grace").status_code == 200


def test_deactivated_user_is_403(project: Project) -> None:
    project.get("ada")
    user = project.user_of("ada")
    user.is_active = False
    user.save()
    response = project.get("ada")
    assert response.status_code == 403
    assert project.get("grace").status_code == 200


def test_deactivated_account_is_403(project: Project) -> None:
    project.get("ada")
    ClerkAccount.objects.update(is_active=False)
    assert project.get("ada").status_code == 403


def test_project_may_delete_its_user(project: Project) -> None:
    project.get("ada")
    old = project.user_of("ada")
    old.delete()
    assert ClerkAccount.objects.live().get().user_id is None
    assert project.get("ada").status_code == 200
    assert project.user_of("ada").pk is not None
    assert ClerkAccount.objects.filter(deleted_by=DeletedBy.LOCAL, user=None).count() == 1


def test_account_after_a_deletion_inherits_the_deactivation_of_the_user(project: Project) -> None:
    project.get("ada")
    user = project.user_of("ada")
    user.is_active = False
    user.save()
    assert delete_locally(ClerkAccount.objects.get()) == Outcome.DELETED
    assert project.get("ada").status_code == 403
    assert not ClerkAccount.objects.live().filter(is_active=True).exists()


def test_actor_is_refused_for_staff(project: Project) -> None:
    project.get("ada")
    user = project.user_of("ada")
    for name, value in project.staff().items():
        setattr(user, name, value)
    user.save()
    token = project.clerk.mint("ada", actor=project.clerk.person("grace").id)
    assert project.get("ada", token=token).status_code == 403
    assert project.get("ada").status_code == 200


def test_other_bearer_class_keeps_working(project: Project) -> None:
    user = project.new_user("service@example.test")
    assert project.get("", token=f"service-{user.pk}").json()["user"] == user.pk
    assert project.get("", token="service-999999").status_code == 401


def test_foreign_tokens_are_refused_if_the_setting_is_off(project: Project, clerk_settings: Settings) -> None:
    user = project.new_user("service@example.test")
    clerk_settings.CLERK_IGNORE_FOREIGN_TOKENS = False
    assert project.get("", token=f"service-{user.pk}").status_code == 401


def test_token_of_our_issuer_is_never_left_to_the_other_class(project: Project) -> None:
    expired = project.clerk.mint("ada", expires=-100)
    response = project.get("", token=expired)
    assert (response.status_code, "service" in response.content.decode()) == (401, False)
    opaque = project.get("", token="oat_0123456789")
    assert (opaque.status_code, "service" in opaque.content.decode()) == (401, False)


@pytest.mark.postgresql
def test_view_keeps_its_own_lock_timeout(project: Project) -> None:
    from accounts.sign_in import sign_in

    with transaction.atomic():
        sign_in(project.clerk.mint("ada"))
        with connections["default"].cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            assert cursor.fetchone() == ("0",)


def test_refused_view_keeps_or_recreates_the_user(project: Project) -> None:
    headers = {"Authorization": f"Bearer {project.clerk.mint('ada')}"}
    assert Client(headers=headers).post("/shop/orders").status_code == 400
    is_atomic = connections["default"].settings_dict["ATOMIC_REQUESTS"]
    assert ClerkAccount.objects.count() == (0 if is_atomic else 1)
    assert project.get("ada").status_code == 200
    assert ClerkAccount.objects.count() == 1
