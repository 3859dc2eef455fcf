"""A table of users that refuses two of them with one address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F, UniqueConstraint
from django.db.models.functions import Lower

from tests.foreign.cases.conftest import Project

# On SQLite, Django's schema editor needs a connection without a transaction and foreign keys.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
CONSTRAINTS = {
    "field": UniqueConstraint(fields=["email"], name="one_user_per_address"),
    "expression": UniqueConstraint(Lower("email"), name="one_user_per_address"),
    "column": UniqueConstraint(F("email"), name="one_user_per_address"),
}


@pytest.fixture(params=CONSTRAINTS)
def _unique_address(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, db: None
) -> Iterator[None]:
    """Refuse a second user with the same address by a constraint, whatever the column allows."""
    model, constraint = get_user_model(), CONSTRAINTS[request.param]
    monkeypatch.setattr(model._meta, "constraints", [constraint])
    with connection.schema_editor() as editor:
        editor.add_constraint(model, constraint)
    yield
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, constraint)


@pytest.mark.usefixtures("_unique_address")
def test_constraint_on_the_address_gets_a_placeholder_each(project: Project) -> None:
    for who in ("ada", "yuki"):
        token = project.clerk.mint(who, claims={"email": None, "email_verified": False})
        assert project.get("", token=token).status_code == 200
    addresses = set(project.users.values_list("email", flat=True))
    assert len(addresses) == 2
    assert all((address or "").endswith(".invalid") for address in addresses)
