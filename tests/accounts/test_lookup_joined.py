"""Rows that come with the statement of a prepared look-up, as accounts come with the users of a project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from django.db import connection, models
from django.test.utils import isolate_apps
from pytest_django import DjangoAssertNumQueries

from accounts.lookup import PreparedLookup
from accounts.models import User
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notes() -> Iterator[Any]:
    """Return a model with a unique reference to a user, and its table."""
    with isolate_apps("tests"):

        class Note(models.Model):  # noqa: DJ008 - never shown
            code = models.CharField(max_length=20)
            details = models.JSONField(default=dict)
            user = models.OneToOneField(User, models.CASCADE, null=True, related_name="+")

            class Meta:
                app_label = "tests"

    with connection.schema_editor() as editor:
        editor.create_model(Note)
    yield Note
    with connection.schema_editor() as editor:
        editor.delete_model(Note)


def fetch(notes: Any, code: str) -> Any:
    lookup = PreparedLookup(notes.objects.filter(code="?").select_related("user").defer("user__email"))
    return lookup.fetch(code, using="default")


def columns(row: Any) -> dict[str, object]:
    deferred = row.get_deferred_fields()
    names = [field.attname for field in row._meta.concrete_fields if field.attname not in deferred]
    return {name: getattr(row, name) for name in names}


def test_both_rows_equal_those_of_get(notes: Any, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    UserFactory.create(first_name="Grace")
    user = UserFactory.create(first_name="Ada", banned=True, field_versions={"email": [5, 1]})
    note = notes.objects.create(code="a", user=user, details={"pages": [1, 2]})
    with django_assert_num_queries(1):
        found = fetch(notes, "a")
        loaded = found.user
    assert columns(found) == columns(note)
    expected = columns(User.objects.defer("email").get(pk=user.pk))
    assert columns(loaded) == expected
    assert loaded.field_versions == {"email": [5, 1]}
    assert loaded.get_deferred_fields() == {"email"}
    assert (loaded._state.db, loaded._state.adding) == ("default", False)
    assert loaded.email == user.email


def test_each_row_knows_the_other_one(notes: Any) -> None:
    notes.objects.create(code="a", user=UserFactory.create())
    found = fetch(notes, "a")
    relation = notes._meta.get_field("user").remote_field
    assert relation.get_cached_value(found.user) is found


def test_a_row_without_the_other_one_has_none(
    notes: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    notes.objects.create(code="a")
    found = fetch(notes, "a")
    with django_assert_num_queries(0):
        assert found.user is None
    assert columns(found) == {"id": ANY, "code": "a", "details": {}, "user_id": None}


def test_json_columns_are_converted() -> None:
    UserFactory.create(clerk_id="user_ada", field_versions={"email": [5, 1]})
    found = PreparedLookup(User.objects.filter(clerk_id="?")).fetch("user_ada", using="default")
    assert found is not None
    assert found.field_versions == {"email": [5, 1]}
    assert found.get_deferred_fields() == set()
