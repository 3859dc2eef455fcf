"""GET /api/v1/me."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.api.conftest import Ask, error_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

KEYS = [
    "id",
    "clerk_id",
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "image_url",
    "created_at",
    "updated_at",
]


def test_first_request_creates_the_user(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada")

    assert response.status_code == 200
    assert response.json()["clerk_id"] == "user_ada"
    assert User.objects.get(id=response.json()["id"]).clerk_id == "user_ada"


def test_second_request_returns_the_same_user(ask: Ask) -> None:
    first = ask("/api/v1/me", by="user_ada").json()

    assert ask("/api/v1/me", by="user_ada").json() == first
    assert User.objects.count() == 1


def test_body_has_exactly_the_documented_keys(ask: Ask) -> None:
    assert list(ask("/api/v1/me", by="user_ada").json()) == KEYS


def test_body_has_the_values_of_the_row(ask: Ask) -> None:
    user = UserFactory.create(
        clerk_id="user_row",
        email="row@example.test",
        email_verified=True,
        first_name="Zoë",
        last_name="Ångström",
        image_url="https://img.example.test/row.png",
    )

    body = ask("/api/v1/me", by="user_row").json()

    assert UUID(body["id"]) == user.id
    assert body["email"] == "row@example.test"
    assert body["email_verified"] is True
    assert (body["first_name"], body["last_name"]) == ("Zoë", "Ångström")
    assert body["image_url"] == "https://img.example.test/row.png"


def test_missing_email_is_null(ask: Ask) -> None:
    UserFactory.create(clerk_id="user_row", email=None)

    assert ask("/api/v1/me", by="user_row").json()["email"] is None


def test_email_that_django_refuses_is_returned(ask: Ask) -> None:
    UserFactory.create(clerk_id="user_row", email="jürgen@straße")

    assert ask("/api/v1/me", by="user_row").json()["email"] == "jürgen@straße"


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_times_are_utc_with_a_z(ask: Ask, field: str) -> None:
    user = UserFactory.create(clerk_id="user_row")
    value = ask("/api/v1/me", by="user_row").json()[field]

    assert value.endswith("Z")
    assert datetime.fromisoformat(value) == getattr(user, field)


def test_warm_request_runs_one_statement(ask: Ask, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ask("/api/v1/me", by="user_ada")

    with django_assert_num_queries(1):
        assert ask("/api/v1/me", by="user_ada").status_code == 200


def test_no_cookie_is_set(ask: Ask) -> None:
    assert not ask("/api/v1/me", by="user_ada").cookies


def test_request_without_a_token_is_401(ask: Ask) -> None:
    response = ask("/api/v1/me")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(response)["code"] == "not_authenticated"


def test_admin_session_is_401(admin_client: Client) -> None:
    assert admin_client.get("/api/v1/me").status_code == 401


def test_head_has_no_body(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", method="HEAD")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(ask: Ask, method: str) -> None:
    response = ask("/api/v1/me", by="user_ada", method=method)

    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert response.headers["Allow"] == "GET, HEAD"


def test_path_with_a_slash_is_404(ask: Ask) -> None:
    assert ask("/api/v1/me/", by="user_ada").status_code == 404
