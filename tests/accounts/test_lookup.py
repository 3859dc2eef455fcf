from __future__ import annotations

import pytest
from django.db import connections, models

from accounts.lookup import PreparedLookup
from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def lookup() -> PreparedLookup[User]:
    return PreparedLookup(User.objects.live().filter(clerk_id="?").defer("field_versions"))


def values(user: User) -> dict[str, object]:
    names = (field.attname for field in User._meta.concrete_fields if field.attname != "field_versions")
    return {name: getattr(user, name) for name in names}


def test_row_equals_the_row_of_get(lookup: PreparedLookup[User]) -> None:
    UserFactory.create(clerk_id="user_grace")
    UserFactory.create(clerk_id="user_ada", banned=True, is_staff=True, image_url="https://img.test/a")
    found = lookup.fetch("user_ada", using="default")
    assert found is not None
    assert values(found) == values(User.objects.get(clerk_id="user_ada"))
    assert (found._state.db, found._state.adding) == ("default", False)


def test_unknown_value_is_none(lookup: PreparedLookup[User]) -> None:
    assert lookup.fetch("user_unknown", using="default") is None


def test_rows_outside_the_queryset_are_not_found(lookup: PreparedLookup[User]) -> None:
    user = UserFactory.create(clerk_id="user_ada")
    User.objects.filter(pk=user.pk).update(deleted_at=user.created_at)
    assert lookup.fetch("user_ada", using="default") is None


def test_deferred_column_is_loaded_when_it_is_read(
    lookup: PreparedLookup[User],
) -> None:
    user = UserFactory.create(clerk_id="user_ada")
    User.objects.filter(pk=user.pk).update(field_versions={"email": [5, 1]})
    found = lookup.fetch("user_ada", using="default")
    assert found is not None
    assert found.get_deferred_fields() == {"field_versions"}
    assert found.field_versions == {"email": [5, 1]}


def test_statement_is_compiled_once_for_each_database(lookup: PreparedLookup[User]) -> None:
    lookup.fetch("user_ada", using="default")
    [(key, statement)] = lookup._statements.items()
    lookup.fetch("user_grace", using="default")
    assert key == f"{connections['default'].vendor}:default"
    assert lookup._statements == {key: statement}
    assert "ORDER BY" not in statement.sql


def test_order_of_the_queryset_is_dropped() -> None:
    ordered: models.QuerySet[User] = User.objects.filter(clerk_id="?").order_by("email")
    lookup = PreparedLookup(ordered)
    lookup.fetch("user_ada", using="default")
    assert all("ORDER BY" not in statement.sql for statement in lookup._statements.values())
